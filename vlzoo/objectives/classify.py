"""Classification of a text with one picture or two: SNLI-VE, NLVR2, VQA over a closed list.

Legend: B batch rows, W width of a pair's state, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import Objective
from vlzoo.models.heads import Mlp, norm_mlp
from vlzoo.objectives.distillation import distilled
from vlzoo.step.passes import Passes
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Spec

HEADS: Mapping[str, Callable[[int, int], nn.Module]] = {"relu": Mlp, "mlp": norm_mlp, "linear": nn.Linear}
LOSSES = ("cross-entropy", "binary")
SCORE_OF_SHARE = 3.0
"""A share of ten annotators to the score that VQA gives an answer: 0.3 for one of them, at most 1 (Oscar, VinVL)."""


class Classify(Objective):
    """A head on the fused first state; soft targets from the teacher (ALBEF's `VE.py`, `NLVR.py`).

    Args:
        images: how many pictures a text reads: 1, or 2 for NLVR2.
        head: `relu` (ALBEF); `mlp`: twice the width, LayerNorm, GELU (X-VLM); `linear` (Oscar's VQA).
        dropout: chance of dropping a number of what the head reads.
        loss: `cross-entropy` with the class, or with the annotators' shares of answers; `binary`: each class by itself,
            against the score that VQA gives it, summed over classes (Oscar's VQA).
        two_pass: read each picture in a pass of its own and join the two first states, so that a fusion made for one
            picture can do NLVR2 (the pair setting of UNITER, Chen et al. 2020).
    """

    needs = ("text_encoder", "fusion")
    mirrored = ("head",)

    def __init__(
        self,
        *,
        images: int = 1,
        head: Literal["relu", "mlp", "linear"] = "relu",
        two_pass: bool = False,
        dropout: float = 0.0,
        loss: Literal["cross-entropy", "binary"] = "cross-entropy",
    ) -> None:
        super().__init__()
        for name, value, known in (("head", head, HEADS), ("loss", loss, LOSSES)):
            if value not in known:
                fix = did_you_mean(str(value), known, what="choices")
                raise UnknownName(f"{name} can't be {value!r}", where="objective classify", fix=fix)
        if not 0 <= dropout <= 1:
            fix = "give a chance from 0 to 1"
            raise VlzooError(f"dropout can't be {dropout!r}", where="objective classify", fix=fix)
        self.two_pass, self.kind, self.images, self.loss = two_pass, head, images, loss
        self.dropout = nn.Dropout(dropout)

    def build(self, spec: Spec) -> None:
        """Make the head.

        Raises:
            VlzooError: the task says of no classes; or the loss is binary, and there is a teacher to learn from.
        """
        if self.loss == "binary" and spec.teacher:
            fix = "leave the teacher out: `teacher: null`; or take loss: cross-entropy"
            raise VlzooError("a binary loss has no soft targets", where="objective classify", fix=fix)
        if not spec.classes:
            raise VlzooError("objective 'classify' needs classes", fix="use it in a task whose samples have labels")
        width = spec.pooled_width * (self.images if self.two_pass else 1)
        self.head: nn.Module = HEADS[self.kind](width, spec.classes)

    def plan(self, plan: Plan) -> None:
        """The first position is read."""
        for views in self._passes(plan):
            plan.read("cls", image=views)

    def offers(self) -> Mapping[str, Any]:
        """`classes`: its logits."""
        return {"classes": self.logits}

    def logits(self, step: Step) -> Tensor:
        """Class logits, [B, C]."""
        return self.head(self.dropout(self._states(step, step.student)))

    def _passes(self, plan: Plan) -> list[tuple[str, ...]]:
        """What each pass reads beside the text: a picture with what stands beside it (`tags`), or all pictures."""
        each = [tuple(f"{view}{i or ''}" for view in plan.main_image) for i in range(self.images)]
        return each if self.two_pass else [tuple(view for views in each for view in views)]

    def _states(self, step: Step, passes: Passes) -> Tensor:
        """What the head reads: [B, W], or [B, 2 W] of two passes."""
        states = [passes.fused(image=views, reads="cls").cls for views in self._passes(step.plan)]
        return torch.cat(states, dim=-1) if len(states) > 1 else states[0]

    def forward(self, step: Step) -> Loss:
        """`(1 - alpha) CE + alpha` soft cross-entropy with the teacher."""
        logit_BC = self.logits(step)
        target = targets(step, logit_BC)
        if self.loss == "binary":
            total = binary(logit_BC, target)
        else:
            hard = F.cross_entropy(logit_BC, target)
            taught = partial(self._taught, step)
            total = distilled(step, hard, logit_BC, taught)
        likeliest_B = target if target.ndim == 1 else target.argmax(1)
        right = (logit_BC.argmax(1) == likeliest_B).float().mean()
        return Loss(total, {"classify": total.detach(), "accuracy": right.detach()}, len(step))

    def _taught(self, step: Step, teacher: Passes) -> Tensor:
        return step.twin(self, "head")(self._states(step, teacher))


def binary(logit_BC: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of each class, summed over classes, mean over rows, [].

    Args:
        logit_BC: logits.
        target: class numbers [B]; or the annotators' shares [B, C], of which the score is three times the share, at
            most 1: what VQA's measure gives for 0, 1, 2, 3 and more of ten annotators is 0, 0.3, 0.6, 0.9 and 1.
    """
    one_hot = target.ndim == 1
    score_BC = F.one_hot(target, logit_BC.shape[1]).float() if one_hot else (SCORE_OF_SHARE * target).clamp(max=1)
    return F.binary_cross_entropy_with_logits(logit_BC, score_BC, reduction="none").sum(1).mean()


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
