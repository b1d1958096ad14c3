"""Masked language modelling (MLM) that reads the picture.

Legend: T masked positions, D width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.interfaces import Objective, Spec
from vlzoo.models.heads import MlmHead
from vlzoo.step.draws import IGNORED
from vlzoo.step.passes import select
from vlzoo.step.plan import MASKED, Plan
from vlzoo.step.step import Step
from vlzoo.types import Fused, Loss


class MLM(Objective):
    """Predict masked words from the other words and the picture (ALBEF, equations 3 and 7).

    The vocabulary head runs on masked positions only, the teacher's too: at V = 30,522 the rest is waste.

    Args:
        probability: each word piece's chance to be masked; of these 80 % become [MASK], 10 % any, 10 % stay.
    """

    mirrored = ("head",)

    def __init__(self, *, probability: float = 0.15) -> None:
        super().__init__()
        self.probability = probability

    def build(self, spec: Spec) -> None:
        """Make the vocabulary head, tied to the word table."""
        self.head = MlmHead(spec.fused_width, spec.embedding, vocab=spec.vocab)

    def plan(self, plan: Plan) -> None:
        """The masked text view, and its states at the masked positions; others may use the loss."""
        plan.offer("mlm", self.loss_of)
        plan.mask_text(self.probability)
        plan.read("masked", text=MASKED)

    def forward(self, step: Step) -> Loss:
        """`(1 - alpha) CE + alpha` soft cross-entropy with the teacher, mean over masked positions.

        A batch in which nothing was masked gives zero (the official code gives NaN).
        """
        total = self.loss_of(step, step.fused(text=MASKED))
        return Loss(total, {"mlm": total.detach()})

    def loss_of(self, step: Step, fused: Fused) -> Tensor:
        """The loss of the masked words in a pass that has read the masked text, []."""
        assert step.labels is not None  # the plan asked for them
        chosen_BL = step.labels != IGNORED
        logit_TV = self.head(select(fused, chosen_BL))
        return self._loss(step, logit_TV, step.labels[chosen_BL], chosen_BL) if len(logit_TV) else logit_TV.sum()

    def _loss(self, step: Step, logit_TV: Tensor, label_T: Tensor, chosen_BL: Tensor) -> Tensor:
        hard = F.cross_entropy(logit_TV, label_T)
        if step.teacher is None or step.alpha == 0:
            return hard
        with torch.no_grad():
            taught_TV = step.twin(self, "head")(select(step.taught(text=MASKED), chosen_BL))
            soft_TV = F.softmax(taught_TV, dim=-1)
        soft = -(soft_TV * F.log_softmax(logit_TV, dim=-1)).sum(-1).mean()
        return (1 - step.alpha) * hard + step.alpha * soft
