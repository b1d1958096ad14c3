"""Retrieval with several right answers a query: mAP@R, R-Precision, recall@k (Musgrave et al., ECCV 2020; Chun et al.,
ECCV Caption, ECCV 2022).

Legend: Q queries, G gallery, R right answers of a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlzoo.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Several:
    """Where each query found its right answers; 0 is the top. A tie with a wrong answer counts against it.

    Attributes:
        ranks: ranks of the right answers of each query, the best first, [Q] of [R].
    """

    ranks: Sequence[Ints]

    def hits(self, k: int) -> NDArray[np.bool_]:
        """True where a right answer is among the first `k`, [Q]."""
        return np.array([bool(rank_R[0] < k) for rank_R in self.ranks])

    def r_precision(self) -> Floats:
        """The share of right answers among the first R, 0 to 1, [Q]."""
        return np.array([float((rank_R < len(rank_R)).mean()) for rank_R in self.ranks])

    def average_precision(self) -> Floats:
        """mAP@R of each query, 0 to 1, [Q]: the mean over the first R places of the precision there, 0 where a place
        holds a wrong answer."""
        found = []
        for rank_R in self.ranks:
            inside = rank_R[rank_R < len(rank_R)]
            precision = np.arange(1, len(inside) + 1) / (inside + 1)
            found.append(float(precision.sum()) / len(rank_R))
        return np.array(found)


def rank_several(scores: Sequence[NDArray[np.floating]], right: Sequence[Ints]) -> Several:
    """Rank a gallery for each query.

    Args:
        scores: of each query, [Q] of [G]; -inf where a pair was not scored: it then ranks last.
        right: columns of the right answers of each query, [Q] of [R], one at least.

    Raises:
        DataError: NaN, or a query without a right answer.
    """
    ranks = []
    for row_G, right_R in zip(scores, right, strict=True):
        if not len(right_R) or np.isnan(row_G).any():
            raise DataError("a query without a right answer, or with scores that are NaN")
        good_R = np.sort(row_G[right_R])[::-1]
        above = (
            np.array([int((row_G >= score).sum()) for score in good_R])
            if len(good_R) <= _FEW
            else _above(row_G, good_R)
        )
        # Of what scores as high or higher, right answers are taken off; of level right ones the order is no matter.
        level = np.array([int((good_R >= score).sum()) for score in good_R])
        ranks.append(above - level + np.arange(len(good_R)))
    return Several(ranks)


_FEW = 8
"""Right answers up to which counting is quicker than sorting."""


def _above(row_G: NDArray[np.floating], good_R: NDArray[np.floating]) -> Ints:
    """How many of a gallery score as high as each right answer or higher, [R]."""
    return len(row_G) - np.searchsorted(np.sort(row_G), good_R, side="left")
