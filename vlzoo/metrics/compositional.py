"""Figures of tests of composition, of scores of (picture, text) pairs; a tie is a miss.

Legend: N examples, I pictures, T texts of an example, F folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlzoo.errors import DataError
from vlzoo.metrics.intervals import DRAWS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

FOLDS = 5
"""In how many parts the pictures are cut where something is fitted on the others."""


@dataclass(frozen=True)
class Choice:
    """Which of several texts a picture chose.

    Attributes:
        right: True where the right one, the first, scores above all others, [N].
        tied: True where it is level with the best of the others, [N].
        chance: what drawing lots would get right, 0 to 1, [N].
    """

    right: Bools
    tied: Bools
    chance: Floats


def choice(scores: Sequence[ArrayLike]) -> Choice:
    """The choices of N examples, each with scores [T] of its texts, the right one first.

    Raises:
        DataError: an example with fewer than two scores, or NaN among them.
    """
    rows = [np.asarray(row, dtype=np.float64) for row in scores]
    for row in rows:
        if row.ndim != 1 or len(row) < 2 or np.isnan(row).any():
            raise DataError(f"scores {row.tolist()} are not two numbers or more, the right text's first")
    best = [(row[0], row[1:].max()) for row in rows]
    return Choice(
        np.array([own > other for own, other in best], dtype=bool),
        np.array([own == other for own, other in best], dtype=bool),
        np.array([1.0 / len(row) for row in rows]),
    )


@dataclass(frozen=True)
class Matched:
    """Winoground's scores, of examples of two pictures and two texts.

    Attributes:
        text: each picture finds its text, [N].
        image: each text finds its picture, [N].
        tied: True where two scores that are compared are level, [N].
    """

    text: Bools
    image: Bools
    tied: Bools

    @property
    def group(self) -> Bools:
        """Both, [N]."""
        return self.text & self.image


CHANCE = {"text": 25.0, "image": 25.0, "group": 100.0 / 6}
"""Winoground's scores of drawing lots, in percent: of 24 orders of four scores 4 put both right pairs on top."""


def matched(scores: ArrayLike) -> Matched:
    """Winoground's three scores (Thrush et al., CVPR 2022, equations 1 to 3).

    Args:
        scores: [N, 2 pictures, 2 texts]; picture 0 belongs to text 0.

    Raises:
        DataError: another shape, or NaN.
    """
    scores_NIT = np.asarray(scores, dtype=np.float64)
    if scores_NIT.ndim != 3 or scores_NIT.shape[1:] != (2, 2) or np.isnan(scores_NIT).any():
        raise DataError(f"scores must be numbers [examples, 2 pictures, 2 texts], got {list(scores_NIT.shape)}")
    (a, b), (c, d) = scores_NIT[:, 0].T, scores_NIT[:, 1].T  # right pairs are a and d
    tied = (a == b) | (d == c) | (a == c) | (d == b)
    return Matched((a > b) & (d > c), (a > c) & (d > b), tied)


def folds(clusters: Sequence[int] | Ints, count: int = FOLDS) -> Ints:
    """The fold of each example, [N]: whole clusters, dealt in the order of their numbers."""
    return np.asarray(clusters, dtype=np.int64) % count


def above_threshold(scores: ArrayLike, truth: ArrayLike, clusters: ArrayLike) -> tuple[Bools, Floats]:
    """Which statements are called true: those that score above a threshold fitted on other pictures.

    The threshold of a fold is the one of most right answers on the other folds; of several the middle one. Where there
    are no others, it is 0.

    Args:
        scores: of each statement, [N].
        truth: whether it is true, [N].
        clusters: number of its picture, [N].

    Returns:
        What is said of each [N], and the thresholds [F].
    """
    score_N, true_N = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=bool)
    fold_N = folds(np.asarray(clusters))
    said, thresholds = np.zeros(len(score_N), dtype=bool), []
    for fold in np.unique(fold_N):
        here = fold_N == fold
        thresholds.append(_threshold(score_N[~here], true_N[~here]))
        said[here] = score_N[here] > thresholds[-1]
    return said, np.array(thresholds)


def _threshold(score_N: Floats, true_N: Bools) -> float:
    """Where most statements are told right."""
    if not len(score_N):
        return 0.0
    level = np.unique(score_N)
    cuts = np.concatenate([[level[0] - 1.0], (level[1:] + level[:-1]) / 2, [level[-1] + 1.0]])
    trues, falses = np.sort(score_N[true_N]), np.sort(score_N[~true_N])
    right = len(trues) - np.searchsorted(trues, cuts, "right") + np.searchsorted(falses, cuts, "right")
    best = np.flatnonzero(right == right.max())
    return float(cuts[best[len(best) // 2]])


def area(scores: ArrayLike, truth: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """Area under the ROC curve in percent: how often a true statement scores above a false one, half where level.

    Args:
        scores: of each statement, [N].
        truth: whether it is true, [N].
        weights: how often each counts, [N]; None: once.

    Returns:
        The area; None where all are true or all are false.
    """
    true_N = np.asarray(truth, dtype=bool)
    level_N = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)[1].ravel()
    weight_N = np.ones(len(true_N)) if weights is None else np.asarray(weights, dtype=np.float64)
    return _area(level_N, true_N, weight_N)


def _area(level_N: Ints, true_N: Bools, weight_N: Floats) -> float | None:
    """The area by numbers of levels, the lowest 0."""
    levels = int(level_N.max()) + 1
    true_L = np.bincount(level_N, weights=weight_N * true_N, minlength=levels)
    false_L = np.bincount(level_N, weights=weight_N * ~true_N, minlength=levels)
    pairs = true_L.sum() * false_L.sum()
    below_L = np.cumsum(false_L) - false_L / 2
    return 100.0 * float(true_L @ below_L) / pairs if pairs else None


def area_interval(
    scores: ArrayLike, truth: ArrayLike, clusters: ArrayLike, *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % percentile interval of the area, by drawing pictures.

    Args:
        scores: of each statement, [N].
        truth: whether it is true, [N].
        clusters: number of its picture, [N].
        draws: bootstrap draws; those in which all are true or all are false are left out.
        seed: same seed, same interval.

    Returns:
        Both ends, or None where there are fewer than two pictures or no draw gives an area.
    """
    true_N = np.asarray(truth, dtype=bool)
    level_N = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)[1].ravel()
    code_N = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    count, rng = int(code_N.max()) + 1, np.random.default_rng(seed)
    if count < 2:
        return None
    drawn = (np.bincount(rng.integers(0, count, size=count), minlength=count) for _ in range(draws))
    areas = [found for times in drawn if (found := _area(level_N, true_N, times[code_N].astype(float))) is not None]
    if not areas:
        return None
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)
