"""Where in a picture is what a text says? A box from the fused first state.

Legend: R rows, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou_loss

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.models.heads import norm_mlp
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Spec, Term

DEGENERATE = ("kept", "drop-batch")
WHOLE = "whole"
"""The view of a region's whole picture."""


class Box(Objective):
    """The box of a region from its text and the whole picture: L1 and generalised IoU (X-VLM, equation 4).

    Rows that are whole pictures have no box to be found, and count for nothing; a batch of them alone gives zero.

    Args:
        whole_pictures: they count as well, their box being the whole picture (official `calc_image_bbox_loss`).
        degenerate: what one box with swapped corners does to the IoU: `kept`: nothing, its corners are put in order;
            `drop-batch`: the IoU of the whole batch counts for nothing, as in the official code.
        l1: weight of the first term.
        giou: weight of the second.

    Raises:
        VlzooError: an option has another value.
    """

    needs = ("text_encoder", "fusion")

    def __init__(
        self,
        *,
        whole_pictures: bool = False,
        degenerate: Literal["kept", "drop-batch"] = "kept",
        l1: float = 1.0,
        giou: float = 1.0,
    ) -> None:
        super().__init__()
        if degenerate not in DEGENERATE:
            raise VlzooError(f"degenerate can't be {degenerate!r}", where="objective box", fix=" or ".join(DEGENERATE))
        self.whole_pictures, self.degenerate, self.l1, self.giou = whole_pictures, degenerate, l1, giou

    def build(self, spec: Spec) -> None:
        """Make the head: four numbers."""
        self.head = norm_mlp(spec.pooled_width, 4)

    def plan(self, plan: Plan) -> None:
        """The first position of the pass over whole pictures is read."""
        plan.read("cls", image=WHOLE)

    def offers(self) -> Mapping[str, Any]:
        """`boxes`: what is found, for tasks and pictures."""
        return {"boxes": self.boxes}

    def boxes(self, step: Step) -> Tensor:
        """The box that each row's text speaks of, [R, 4]: centre x, y, width, height as shares of the picture."""
        # Rows of whole samples, as in evaluation, read their picture as it is.
        picture = WHOLE if WHOLE in step.batch.views else ""
        return self.head(step.fused(image=picture, reads="cls").cls).float().sigmoid()

    def forward(self, step: Step) -> Loss:
        """Both terms, each a mean over the boxes to be found.

        Raises:
            VlzooError: the rows have no boxes.
        """
        extra = step.batch.extra
        if "box" not in extra:
            raise VlzooError(
                "these rows have no boxes", where="objective box", fix="say `rows: regions` for its stream"
            )
        wanted_R4 = extra["box"]
        found_R4 = self.boxes(step)
        counts_R = torch.ones_like(extra["is_region"]) if self.whole_pictures else extra["is_region"]
        count = counts_R.sum()
        l1 = mean_over((found_R4 - wanted_R4).abs().sum(1), counts_R)
        giou = mean_over(self.giou_loss(found_R4, wanted_R4, counts_R), counts_R)
        parts = {"box_l1": l1.detach(), "box_giou": giou.detach()}
        return Loss.of([Term(self.l1 * l1, count), Term(self.giou * giou, count)], parts)

    def giou_loss(self, found_R4: Tensor, wanted_R4: Tensor, counts_R: Tensor) -> Tensor:
        """1 - GIoU of each row, [R] in [0, 2] (Rezatofighi et al., CVPR 2019)."""
        found, wanted = (box_convert(box_R4, "cxcywh", "xyxy") for box_R4 in (found_R4, wanted_R4))
        loss_R: Tensor = generalized_box_iou_loss(in_order(found), in_order(wanted))
        if self.degenerate == "drop-batch":
            swapped = ((found[:, 2:] < found[:, :2]) | (wanted[:, 2:] < wanted[:, :2])).any(1) & counts_R
            loss_R = torch.where(swapped.any(), torch.zeros_like(loss_R), loss_R)
        return loss_R


def in_order(box_R4: Tensor) -> Tensor:
    """Corners x, y, x, y with the lower left ones first."""
    first, second = box_R4.split(2, dim=1)
    return torch.cat([torch.minimum(first, second), torch.maximum(first, second)], dim=1)


def mean_over(value_R: Tensor, counts_R: Tensor) -> Tensor:
    """The mean over the rows that count, []; zero where none does."""
    return (value_R * counts_R).sum() / counts_R.sum().clamp(min=1)
