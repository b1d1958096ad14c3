"""Image-text matching (ITM) on mined hard negatives.

Legend: B batch rows, P pairs, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.interfaces import Objective
from vlzoo.models.heads import norm_mlp
from vlzoo.offers import MATCH
from vlzoo.step.negatives import floored_weights
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Spec


class ITM(Objective):
    """Does a text belong to a picture? B positive pairs and 2B mined negatives (ALBEF, equation 4).

    Args:
        head: `linear` (ALBEF), or `mlp`: twice the width, LayerNorm, GELU (X-VLM).
        mining: the chances of hard negatives: `softmax` over the similarities to what is not alike, or `floored`: over
            all, plus 1e-5 (X-VLM).
    """

    needs = ("text_encoder", "fusion")

    def __init__(
        self, *, head: Literal["linear", "mlp"] = "linear", mining: Literal["softmax", "floored"] = "softmax"
    ) -> None:
        super().__init__()
        self.kind, self.mining = head, mining

    def build(self, spec: Spec) -> None:
        """Make the two-class head."""
        width = spec.pooled_width
        self.head: nn.Module = norm_mlp(width, 2) if self.kind == "mlp" else nn.Linear(width, 2)

    def plan(self, plan: Plan) -> None:
        """The first position of both passes is read."""
        plan.read("cls")
        plan.read("cls", pairs="negative")
        if self.mining == "floored":
            plan.mining = floored_weights

    def offers(self) -> Mapping[str, Any]:
        """`match`: the head."""
        return {"match": self.head}

    def forward(self, step: Step) -> Loss:
        """Cross-entropy over 3B pairs; over the positives alone where a batch of one has no negative."""
        logit_P2 = self.logits(step)
        label_P = match_labels(logit_P2, len(step))
        total = F.cross_entropy(logit_P2, label_P)
        right = (logit_P2.argmax(1) == label_P).float().mean()
        return Loss(total, {"itm": total.detach(), "itm_accuracy": right.detach()}, len(label_P))

    def logits(self, step: Step) -> Tensor:
        """Logits of the positives, then of the negatives, [3B, 2]."""
        states = [step.fused(reads="cls").cls]
        if step.columns.count > 1:
            states.append(step.fused("negative", reads="cls").cls)
        return self.head(torch.cat(states))


def match_labels(logit_P2: Tensor, positives: int) -> Tensor:
    """Labels of pairs of which the first `positives` match and the others do not, [P] int64."""
    label_P = torch.zeros(len(logit_P2), dtype=torch.long, device=logit_P2.device)
    label_P[:positives] = MATCH
    return label_P
