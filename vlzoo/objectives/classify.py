"""Classification of a text with one picture or two: SNLI-VE, NLVR2, VQA over a closed list.

Legend: B batch rows, D width, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective, Spec
from vlzoo.models.heads import Mlp
from vlzoo.plan import Plan
from vlzoo.step import Step
from vlzoo.types import Loss


class Classify(Objective):
    """An MLP on the fused first state; soft targets from the teacher (ALBEF's `VE.py`, `NLVR.py`).

    Args:
        images: how many pictures a text reads: 1, or 2 for NLVR2.
    """

    mirrored = ("head",)

    def __init__(self, *, images: int = 1) -> None:
        super().__init__()
        self.views = tuple("image" if i == 0 else f"image{i}" for i in range(images))

    def build(self, spec: Spec) -> None:
        """Make the head.

        Raises:
            VlzooError: the task says of no classes.
        """
        if not spec.classes:
            raise VlzooError("objective 'classify' needs classes", fix="use it in a task whose samples have labels")
        self.head = Mlp(spec.fused_width, spec.classes)

    def plan(self, plan: Plan) -> None:
        """The first position is read."""
        plan.read("cls", image=self.views)

    def logits(self, step: Step) -> Tensor:
        """Class logits, [B, C]."""
        return self.head(step.fused(image=self.views).cls)

    def forward(self, step: Step) -> Loss:
        """`(1 - alpha) CE + alpha` soft cross-entropy with the teacher."""
        label_B = step.batch.labels
        if label_B is None:
            raise VlzooError("objective 'classify' needs labels", fix="give it data whose samples have labels")
        logit_BC = self.logits(step)
        total = F.cross_entropy(logit_BC, label_B)
        if step.teacher is not None and step.alpha > 0:
            with torch.no_grad():
                soft_BC = F.softmax(step.twin(self, "head")(step.taught(image=self.views).cls), dim=-1)
            soft = -(soft_BC * F.log_softmax(logit_BC, dim=-1)).sum(-1).mean()
            total = (1 - step.alpha) * total + step.alpha * soft
        right = (logit_BC.argmax(1) == label_B).float().mean()
        return Loss(total, {"classify": total.detach(), "accuracy": right.detach()})
