"""Rows `sampled`: pairs of which training reads some tokens of each picture (Pixel-BERT, Huang et al. 2020)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.batch import View
from vlzoo.data.pairs import Pairs
from vlzoo.data_parts import Pairing, Rows
from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.step.plan import Plan
    from vlzoo.step.step import Step

VIEW = "sampled"
"""The image view that training reads."""


class Sampled(Pairs):
    """Pairs; of each picture so many places of the encoder's grid are read, drawn anew at every step.

    Which ones depends on seed, step and sample alone. The others are hidden from attention, and the encoder has seen
    them: it is the fusion that learns not to rely on any. A token before the grid is always read. In evaluation, and in
    fine-tunings, all are read.

    Args:
        places: how many of the grid's places are read; of a smaller grid all are.
        equal_texts: what rows that say the same are to each other: `alike` or `negative`, as `pairs` has it.

    Raises:
        VlzooError: an option has another value.
    """

    def __init__(self, *, places: int = 100, equal_texts: Literal["alike", "negative"] = "alike") -> None:
        super().__init__(equal_texts=equal_texts)
        if not isinstance(places, int) or isinstance(places, bool) or places < 1:
            fix = "give a number of places, as 100 in Pixel-BERT"
            raise VlzooError(f"places can't be {places!r}", where="rows sampled", fix=fix)
        self.places = places

    def plan(self, plan: Plan, pairing: Pairing) -> None:
        """The view `sampled` of the picture is the main one."""
        super().plan(plan, pairing)
        if plan.main_image:
            first, *beside = plan.main_image
            plan.add_view(VIEW, partial(some_places, first, self.places))
            plan.main_image = (VIEW, *beside)

    def whole(self) -> Rows:
        """Pairs whose pictures are read whole."""
        return Pairs(equal_texts=self.equal_texts)


def some_places(of: str, places: int, step: Step) -> View:
    """A view of which each row reads so many of the grid's places, drawn by its key.

    Args:
        of: the view that is sampled.
        places: how many; all, where it has no more.
        step: draws, and knows the pictures.
    """
    view, whole = step.view(of), step.image(of)
    real_RG = whole.mask[:, whole.prefix :]
    drawn_RG = step.draws.uniform("places", step.batch.key, real_RG.shape[1]).masked_fill(~real_RG, 2.0)
    chosen_RK = drawn_RG.topk(min(places, real_RG.shape[1]), dim=1, largest=False).indices
    cells_RG = torch.zeros_like(real_RG).scatter(1, chosen_RK, True) & real_RG
    # A token before the grid speaks for the picture, as it does in evaluation; a mean of cells would take its place.
    first = F.pad(whole.x.new_ones(len(cells_RG), 1), (0, whole.mask.shape[1] - 1)) if whole.prefix else None
    return replace(view, cells=cells_RG, pool=first if view.pool is None else view.pool)
