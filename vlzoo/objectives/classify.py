"""Classification of a text with one picture or two: SNLI-VE, NLVR2, VQA over a closed list.

Legend: B batch rows, W width of a pair's state, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.models.heads import Mlp, norm_mlp
from vlzoo.objectives.distillation import distilled
from vlzoo.step.passes import Passes
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Spec


class Classify(Objective):
    """An MLP on the fused first state; soft targets from the teacher (ALBEF's `VE.py`, `NLVR.py`).

    Args:
        images: how many pictures a text reads: 1, or 2 for NLVR2.
        head: `relu` (ALBEF), or `mlp`: twice the width, LayerNorm, GELU (X-VLM).
        two_pass: read each picture in a pass of its own and join the two first states, so that a fusion made for one
            picture can do NLVR2 (the pair setting of UNITER, Chen et al. 2020).
    """

    needs = ("text_encoder", "fusion")
    mirrored = ("head",)

    def __init__(self, *, images: int = 1, head: Literal["relu", "mlp"] = "relu", two_pass: bool = False) -> None:
        super().__init__()
        self.two_pass, self.kind = two_pass, head
        self.views = tuple("image" if i == 0 else f"image{i}" for i in range(images))

    def build(self, spec: Spec) -> None:
        """Make the head.

        Raises:
            VlzooError: the task says of no classes.
        """
        if not spec.classes:
            raise VlzooError("objective 'classify' needs classes", fix="use it in a task whose samples have labels")
        width = spec.pooled_width * (len(self.views) if self.two_pass else 1)
        self.head: nn.Module = (norm_mlp if self.kind == "mlp" else Mlp)(width, spec.classes)

    def plan(self, plan: Plan) -> None:
        """The first position is read."""
        for views in [(view,) for view in self.views] if self.two_pass else [self.views]:
            plan.read("cls", image=views)

    def offers(self) -> Mapping[str, Any]:
        """`classes`: its logits."""
        return {"classes": self.logits}

    def logits(self, step: Step) -> Tensor:
        """Class logits, [B, C]."""
        return self.head(self._states(step.student))

    def _states(self, passes: Passes) -> Tensor:
        """What the head reads: [B, W], or [B, 2 W] of two passes."""
        if not self.two_pass:
            return passes.fused(image=self.views, reads="cls").cls
        return torch.cat([passes.fused(image=(view,), reads="cls").cls for view in self.views], dim=-1)

    def forward(self, step: Step) -> Loss:
        """`(1 - alpha) CE + alpha` soft cross-entropy with the teacher."""
        logit_BC = self.logits(step)
        target = targets(step, logit_BC)
        hard = F.cross_entropy(logit_BC, target)
        total = distilled(step, hard, logit_BC, lambda teacher: step.twin(self, "head")(self._states(teacher)))
        likeliest_B = target if target.ndim == 1 else target.argmax(1)
        right = (logit_BC.argmax(1) == likeliest_B).float().mean()
        return Loss(total, {"classify": total.detach(), "accuracy": right.detach()}, len(step))


def targets(step: Step, logit_BC: Tensor) -> Tensor:
    """Class numbers [B], or for questions the annotators' shares of each class, [B, C].

    An answer that is no class counts for nothing; a question without one teaches nothing.

    Raises:
        VlzooError: the batch has neither labels nor answers.
    """
    if step.batch.labels is not None:
        return step.batch.labels
    extra = step.batch.extra
    if "answer_class" not in extra:
        raise VlzooError("objective 'classify' needs labels", fix="give it data whose samples have labels or answers")
    listed_A = extra["answer_class"] >= 0
    target_BC = torch.zeros_like(logit_BC, dtype=torch.float32)
    at = extra["answer_row"][listed_A], extra["answer_class"][listed_A]
    return target_BC.index_put(at, extra["answer_weight"][listed_A].float())
