"""What a decoder may write next, and what a text scores: rules that greedy decoding, sampling and beam search share.

Legend: P texts in the making, L ids so far, V vocabulary, G ids of an n-gram, X places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from vlzoo.models.generate import Decoding, Ends


@dataclass(frozen=True)
class Rules:
    """What may be written next, and what a text scores.

    >>> from vlzoo.models.generate import Decoding, Ends
    >>> rules = Rules(Decoding(length_penalty=1.0), Ends(start=2, end=3, pad=0), prompt=1)
    >>> rules.score(torch.tensor([-6.0]), 3)
    tensor([-2.])

    Args:
        how: the options.
        ends: the ids that texts begin and end with.
        prompt: ids that stand before what is written.
    """

    how: Decoding
    ends: Ends
    prompt: int

    def allowed(self, gain_PV: Tensor, ids_PL: Tensor, node_P: Tensor) -> Tensor:
        """Log-probabilities of next words, minus infinity for those that the options forbid."""
        if self.how.listed is not None:
            return self.how.listed.to(gain_PV.device).only(gain_PV, node_P)
        if ids_PL.shape[1] < self.how.least:
            gain_PV = gain_PV.index_fill(1, torch.tensor([self.ends.end], device=gain_PV.device), -torch.inf)
        return new_grams(gain_PV, ids_PL, self.how.no_repeat) if self.how.no_repeat else gain_PV

    def node(self, node_P: Tensor, token_P: Tensor) -> Tensor:
        """The places in the list's tree that words lead to."""
        return node_P if self.how.listed is None else self.how.listed.step(node_P, token_P)

    def score(self, total: Tensor, new: int | Tensor) -> Tensor:
        """The scores of texts of `new` new ids each."""
        return total / new**self.how.length_penalty


def new_grams(gain_PV: Tensor, ids_PL: Tensor, size: int) -> Tensor:
    """Minus infinity for words with which the last ids would stand in their text a second time."""
    if ids_PL.shape[1] < size:
        return gain_PV
    gram_PXG = ids_PL.unfold(1, size, 1)
    last_PG = ids_PL[:, ids_PL.shape[1] - size + 1 :]
    again_PX = (gram_PXG[..., :-1] == last_PG[:, None]).all(-1)
    row, place = again_PX.nonzero(as_tuple=True)
    gain_PV = gain_PV.clone()
    gain_PV[row, gram_PXG[row, place, -1]] = -torch.inf
    return gain_PV
