"""Picture-to-picture retrieval: R@k and mean average precision by class, ties settled strictly.

Legend: Q queries, G gallery pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlzoo.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ByClass:
    """Ranking quality of each query that has something to find.

    Attributes:
        query: numbers of these queries, [q].
        first: rank of the first right picture, 0 is the top, [q].
        average_precision: 0..1, [q].
        tied: True where a wrong picture scores exactly as a right one, [q].
    """

    query: Ints
    first: Ints
    average_precision: Floats
    tied: NDArray[np.bool_]

    def recall(self, k: int) -> float:
        """R@k in percent: queries with a right picture among the first `k`."""
        return 100.0 * int((self.first < k).sum()) / len(self.first)

    @property
    def mean_average_precision(self) -> float:
        """mAP in percent."""
        return 100.0 * float(self.average_precision.mean())


def rank_by_class(
    scores: ArrayLike, query_class: ArrayLike, gallery_class: ArrayLike, *, same_pictures: bool = False
) -> ByClass:
    """Rank a gallery for each query; right is what has the query's class.

    A wrong picture with a right one's score is ranked before it.

    Args:
        scores: likeness, [Q, G].
        query_class: [Q], any comparable values.
        gallery_class: [G].
        same_pictures: queries and gallery are the same pictures in the same order; no query finds itself.

    Raises:
        DataError: shapes that do not fit, NaN, or no query with anything to find.
    """
    scores_QG = np.asarray(scores, dtype=np.float64)
    wanted_Q, class_G = np.asarray(query_class), np.asarray(gallery_class)
    if scores_QG.shape != (len(wanted_Q), len(class_G)):
        raise DataError(f"scores are {scores_QG.shape} for {len(wanted_Q)} queries and {len(class_G)} gallery pictures")
    if np.isnan(scores_QG).any():
        raise DataError(f"{int(np.isnan(scores_QG).sum())} scores are NaN")
    ranked = [
        (query, *_rank(row_G, class_G == wanted, query if same_pictures else None))
        for query, (row_G, wanted) in enumerate(zip(scores_QG, wanted_Q, strict=True))
    ]
    found = [row for row in ranked if row[1] >= 0]
    if not found:
        raise DataError("no query has a picture of its class in the gallery")
    query, first, precision, tied = (np.array(column) for column in zip(*found, strict=True))
    return ByClass(query, first, precision, tied)


def _rank(row_G: Floats, right_G: NDArray[np.bool_], itself: int | None) -> tuple[int, float, bool]:
    """First rank, average precision, and whether a tie was met; first rank -1 where nothing is right."""
    if itself is not None:
        row_G, right_G = np.delete(row_G, itself), np.delete(right_G, itself)
    good, bad = np.sort(row_G[right_G])[::-1], np.sort(row_G[~right_G])
    if not len(good):
        return -1, 0.0, False
    before = len(bad) - np.searchsorted(bad, good, side="left")
    above = len(bad) - np.searchsorted(bad, good, side="right")
    nth = np.arange(1, len(good) + 1)
    return int(before[0]), float((nth / (nth + before)).mean()), bool((before > above).any())
