"""Figures that are functions of sums over samples, not means of samples: BLEU, micro-averages.

Legend: N samples, C clusters, K counts, B draws, S seeds, n longest n-gram.

Counts are added up first and the figure is made of the sums, so its interval draws clusters and adds up theirs anew
(Koehn, EMNLP 2004; Davison and Hinkley 1997, section 3.8). The test of a difference swaps the two systems' counts in
clusters at random (Riezler and Maxwell 2005, approximate randomization): for a mean that is the flipping of signs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlzoo.metrics.intervals import DRAWS, chunks
from vlzoo.metrics.paired import Estimate

Floats = NDArray[np.float64]
Formula = Callable[[Floats], Floats]
"""From sums of counts [..., K] to figures [...]."""


def ratio(sums: Floats) -> Floats:
    """A sum as a share of another, in percent: K = 2, the part and the whole; 0 where the whole is 0."""
    part, whole = sums[..., 0], sums[..., 1]
    shares: Floats = np.divide(100.0 * part, whole, out=np.zeros_like(whole, dtype=np.float64), where=whole > 0)
    return shares


def bleu(sums: Floats) -> Floats:
    """BLEU-n in percent (Papineni et al., ACL 2002), as the COCO caption evaluation smooths it.

    Args:
        sums: K = 2 n + 2: n-grams that are right for 1 ... n, n-grams for 1 ... n, words, words of the references.
    """
    longest = sums.shape[-1] // 2 - 1
    right, said = sums[..., :longest] + 1e-15, sums[..., longest:-2] + 1e-9
    short = (sums[..., -2] + 1e-15) / (sums[..., -1] + 1e-9)
    penalty = np.where(short < 1, np.exp(1 - 1 / np.minimum(short, 1)), 1.0)
    made: Floats = 100.0 * penalty * np.prod(right / said, axis=-1) ** (1 / longest)
    return made


FORMULAS: Mapping[str, Formula] = MappingProxyType({"ratio": ratio, "bleu": bleu})
"""By the names under which figures on disk say what they are made by."""


def pooled_interval(
    counts: ArrayLike, clusters: ArrayLike, formula: str, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile interval of a figure of sums, by drawing clusters.

    >>> pooled_interval([[1, 2], [1, 2], [3, 6]], [0, 1, 1], "ratio")
    (50.0, 50.0)

    Args:
        counts: of each sample, [N, K].
        clusters: cluster number of each sample, [N].
        formula: one of `FORMULAS`.
        level: how much of the bootstrap distribution the interval holds.
        draws: bootstrap draws.
        seed: same seed, same interval.

    Returns:
        Both ends, or None where there are fewer than two clusters.
    """
    (counts_CK,) = _by_cluster(clusters, counts)
    if len(counts_CK) < 2:
        return None
    figures_B = FORMULAS[formula](_drawn(counts_CK, draws, seed))
    tail = (1 - level) / 2
    low, high = np.quantile(figures_B, [tail, 1 - tail])
    return float(low), float(high)


def pooled_estimate(
    counts: Sequence[ArrayLike], clusters: ArrayLike, formula: str, *, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """The mean over training seeds of a figure of sums; seeds and clusters are drawn independently.

    What `vlzoo.metrics.paired.estimate` is to means. The whole of a ratio may differ from seed to seed.

    >>> pooled_estimate([[[1, 2], [1, 2]], [[3, 3], [0, 0]]], [0, 1], "ratio").seeds
    (50.0, 100.0)

    Args:
        counts: of each seed the counts of each sample, [S][N, K].
        clusters: cluster number of each sample, [N]; every seed is measured on the same ones.
        formula: one of `FORMULAS`.
        draws: of the bootstrap.
        seed: same seed, same numbers.
    """
    make, counts_SCK = FORMULAS[formula], _by_cluster(clusters, *counts)
    figures = tuple(float(make(counts_CK.sum(0))) for counts_CK in counts_SCK)
    ends = None
    if len(counts_SCK[0]) > 1:
        figures_BS = np.stack([make(_drawn(counts_CK, draws, seed)) for counts_CK in counts_SCK], axis=1)
        seeds = len(figures)
        times_BS = np.random.default_rng([seed, seeds]).multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
        low, high = np.quantile((figures_BS * times_BS / seeds).sum(1), [0.025, 0.975])
        ends = float(low), float(high)
    return Estimate(float(np.mean(figures)), ends, figures)


def pooled_difference(
    ours: ArrayLike,
    theirs: ArrayLike,
    clusters: ArrayLike,
    formula: str,
    *,
    draws: int = DRAWS,
    swaps: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """A figure of sums minus another's of the same samples, with its interval and a two-sided p-value.

    Args:
        ours: counts of each sample, [N, K].
        theirs: the other system's, [N, K].
        clusters: cluster number of each sample, [N].
        formula: one of `FORMULAS`.
        draws: of the bootstrap.
        swaps: patterns of the test; no p-value is below 1 / (swaps + 1).
        seed: same seed, same numbers.

    Raises:
        ValueError: other samples, or other counts.
    """
    if np.shape(ours) != np.shape(theirs):
        raise ValueError(f"a paired difference needs the same counts: {np.shape(ours)} and {np.shape(theirs)}")
    make = FORMULAS[formula]
    ours_CK, theirs_CK = _by_cluster(clusters, ours, theirs)
    apart = float(make(ours_CK.sum(0)) - make(theirs_CK.sum(0)))
    interval = None
    if len(ours_CK) > 1:
        gaps_B = make(_drawn(ours_CK, draws, seed)) - make(_drawn(theirs_CK, draws, seed))
        low, high = np.quantile(gaps_B, [0.025, 0.975])
        interval = float(low), float(high)
    return Estimate(apart, interval, (apart,), _swapped(ours_CK, theirs_CK, make, swaps, seed))


def _by_cluster(clusters: ArrayLike, *counts: ArrayLike) -> list[Floats]:
    """The sums of each cluster, [C, K] each; numbers that no sample has are left out."""
    codes_N = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    made = []
    for each in counts:
        counts_NK = np.asarray(each, dtype=np.float64)
        sums_CK = np.zeros((int(codes_N.max()) + 1, counts_NK.shape[1]))
        np.add.at(sums_CK, codes_N, counts_NK)
        made.append(sums_CK)
    return made


def _drawn(counts_CK: Floats, draws: int, seed: int) -> Floats:
    """The sums of each draw of C clusters, [B, K]: the same draws for one seed and number of clusters."""
    rng, clusters = np.random.default_rng(seed), len(counts_CK)
    chance = np.full(clusters, 1 / clusters)
    return np.concatenate(
        [rng.multinomial(clusters, chance, size=rows) @ counts_CK for rows in chunks(draws, clusters)]
    )


def _swapped(ours_CK: Floats, theirs_CK: Floats, make: Formula, swaps: int, seed: int) -> float:
    """How often swapping clusters at random puts the figures at least as far apart as they are."""
    gaps_CK = ours_CK - theirs_CK
    moved_CK = gaps_CK[np.any(gaps_CK != 0, axis=1)]
    ours_K, theirs_K = ours_CK.sum(0), theirs_CK.sum(0)
    apart = abs(make(ours_K) - make(theirs_K))
    rng, hits = np.random.default_rng(seed), 0
    for rows in chunks(swaps, max(len(moved_CK), 1)):
        swapped_RK = rng.integers(0, 2, size=(rows, len(moved_CK))) @ moved_CK
        found_R = np.abs(make(ours_K - swapped_RK) - make(theirs_K + swapped_RK))
        # Rounding may put a pattern equal to the observed one just below it.
        hits += int((found_R >= apart - 1e-9).sum())
    return (hits + 1) / (swaps + 1)
