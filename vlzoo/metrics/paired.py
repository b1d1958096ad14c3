"""Means and differences over test samples and seeds: intervals by the bootstrap, p-values by paired tests.

Legend: S seeds, C clusters (pictures with all their queries or words; sentences of NLVR2), N samples, B draws.

A figure is a mean of ratios: `mean over its parts of sum of values / number of samples`. TR R@1 has one part, mean
recall has two (text retrieval counts pictures, image retrieval texts). The bootstrap draws seeds and clusters with
replacement, independently (both are crossed: every seed is measured on the same clusters), and takes percentiles
(Davison and Hinkley 1997, section 3.8). With three seeds the part that seeds contribute is rough: there are ten ways to
draw them.

The test of a difference flips the sign of whole clusters, as `scipy.stats.permutation_test` with `samples` does of
single ones; where outcomes are right or wrong and each stands alone, that is McNemar's exact test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vlzoo.metrics.intervals import DRAWS, chunks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MANY = 2_000
"""With more clusters than this, those that are alike are drawn together: the same distribution, by other draws."""


@dataclass(frozen=True)
class Part:
    """Sums a cluster contributes to one ratio.

    >>> ours = Part.of([np.array([100.0, 0.0, 100.0])], np.array([0, 0, 1]), 2)
    >>> round(estimate([ours]).mean, 1)
    66.7

    Attributes:
        sums: of the values, for every seed, [S, C].
        sizes: number of samples, the same for every seed, [C].
    """

    sums: Floats
    sizes: Floats

    @classmethod
    def of(cls, values: Sequence[Floats], clusters: Ints, count: int) -> Part:
        """From each seed's values [N] and the number of each sample's cluster [N], `count` clusters in all."""
        sums = [np.bincount(clusters, weights=value, minlength=count) for value in values]
        return cls(np.asarray(sums, dtype=np.float64), np.bincount(clusters, minlength=count).astype(np.float64))

    def minus(self, other: Part) -> Part:
        """The difference, sample by sample.

        Raises:
            ValueError: other samples.
        """
        if self.sums.shape != other.sums.shape or not np.array_equal(self.sizes, other.sizes):
            raise ValueError("a paired difference needs the same seeds and the same test samples")
        return Part(self.sums - other.sums, self.sizes)

    def seeds(self) -> Floats:
        """The ratio of each seed, [S]."""
        return self.sums.sum(1) / self.sizes.sum()

    def picked(self, seeds: Sequence[int]) -> Part:
        """Some of the seeds."""
        return Part(self.sums[list(seeds)], self.sizes)


@dataclass(frozen=True)
class Estimate:
    """A figure, or a difference of figures.

    Attributes:
        mean: over seeds.
        interval: 95 %, over seeds and clusters; None with fewer than two clusters.
        seeds: the value of each seed.
        p_value: for a difference: two-sided, by flipping the sign of whole clusters (these seeds, other clusters).
    """

    mean: float
    interval: tuple[float, float] | None
    seeds: tuple[float, ...]
    p_value: float | None = None

    def json(self) -> dict[str, object]:
        """Plain data."""
        return dict(vars(self))


def estimate(parts: Sequence[Part], *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The figure that `parts` make up, in the unit of its values."""
    per_seed = np.mean([part.seeds() for part in parts], axis=0)
    return Estimate(float(per_seed.mean()), _interval(parts, draws, seed), tuple(map(float, per_seed)))


def difference(
    row: Sequence[Part], baseline: Sequence[Part], *, draws: int = DRAWS, flips: int = DRAWS, seed: int = 0
) -> Estimate:
    """The figure of `row` minus that of `baseline`: same seeds, same test samples; the test flips signs.

    Args:
        row: the parts of one figure.
        baseline: those of the other.
        draws: of the bootstrap.
        flips: sign patterns of the test; no p-value is below 1 / (flips + 1).
        seed: same seed, same numbers.

    Raises:
        ValueError: they are not the same.
    """
    apart = gaps(row, baseline)
    p_value = sign_flips(shares(apart), flips, seed)
    return replace(estimate(apart, draws=draws, seed=seed), p_value=p_value)


def gaps(row: Sequence[Part], baseline: Sequence[Part]) -> list[Part]:
    """The parts of a difference, of which `estimate` gives mean and interval.

    Raises:
        ValueError: other seeds or other test samples.
    """
    return [one.minus(other) for one, other in zip(row, baseline, strict=True)]


def shares(apart: Sequence[Part]) -> Floats:
    """What each cluster contributes to a difference, the mean over seeds, [C]."""
    found: Floats = np.mean([gap.sums.mean(0) / gap.sizes.sum() for gap in apart], axis=0)
    return found


def sign_flips(shares_C: Floats, flips: int = DRAWS, seed: int = 0) -> float:
    """A two-sided p-value: how often patterns of signs give a sum at least as far from zero as the one that is there.

    The pattern that is there counts as one of them (Phipson and Smyth 2010), so that no p-value is 0; 1.0 where nothing
    differs.

    Args:
        shares_C: what each cluster contributes to a difference, [C].
        flips: patterns that are drawn.
        seed: same seed, same p-value.
    """
    shares_C = shares_C[shares_C != 0]
    # Rounding may put a pattern equal to the observed one just below it.
    threshold = abs(shares_C.sum()) - 1e-9 * np.abs(shares_C).sum()
    rng = np.random.default_rng(seed)
    size_K, count_K = np.unique(np.abs(shares_C).round(12), return_counts=True)
    alike = len(shares_C) > MANY and 2 * len(size_K) < len(shares_C)
    hits = 0
    for rows in chunks(flips, max(len(size_K) if alike else len(shares_C), 1)):
        if alike:  # of n clusters of one size, how many signs are positive is binomial
            sums = (2.0 * rng.binomial(count_K, 0.5, size=(rows, len(size_K))) - count_K) @ size_K
        else:
            sums = (rng.integers(0, 2, size=(rows, len(shares_C)), dtype=np.int8) * 2.0 - 1) @ shares_C
        hits += int((np.abs(sums) >= threshold).sum())
    return (hits + 1) / (flips + 1)


def mcnemar(row_N: NDArray[np.bool_], baseline_N: NDArray[np.bool_]) -> float:
    """McNemar's test, exact and two-sided, of two systems that are right or wrong on the same samples (McNemar 1947).

    >>> mcnemar(np.array([True, True, True, True, False]), np.array([True, False, False, False, False]))
    0.25

    Args:
        row_N: where one is right, [N]; each sample stands alone.
        baseline_N: where the other is, [N].
    """
    better, worse = int((row_N & ~baseline_N).sum()), int((~row_N & baseline_N).sum())
    from scipy.stats import binomtest  # here: half a second, and every task imports this file

    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values raised for being several: taken below 0.05, the chance of any false one is below 5 % (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    raised = np.minimum(1.0, np.maximum.accumulate(factors * np.asarray(p_values, dtype=np.float64)[order]))
    adjusted = np.empty(len(order))
    adjusted[order] = raised
    return [float(value) for value in adjusted]


def _interval(parts: Sequence[Part], draws: int, seed: int) -> tuple[float, float] | None:
    seeds, clusters = parts[0].sums.shape
    if clusters < 2:
        return None
    counts = None
    if clusters > MANY:
        parts, counts = _alike(parts)
    weight_BS, times_BC = _draws(seeds, clusters, draws, seed, counts)
    ratios = [_ratios(part, weight_BS, times_BC) for part in parts]
    low, high = np.quantile(np.mean(ratios, axis=0), [0.025, 0.975])
    return float(low), float(high)


def _alike(parts: Sequence[Part]) -> tuple[list[Part], tuple[int, ...]]:
    """One cluster for all that contribute the same to every part, and how many these are."""
    columns = [column for part in parts for column in (*part.sums, part.sizes)]
    _, first, counts = np.unique(np.stack(columns, axis=1).round(9), axis=0, return_index=True, return_counts=True)
    return [Part(part.sums[:, first], part.sizes[first]) for part in parts], tuple(counts.tolist())


def _ratios(part: Part, weight_BS: Floats, times_BC: NDArray[np.uint32]) -> Floats:
    """The ratio in each draw, [B]; 0 where a draw holds none of its samples."""
    made, start = [], 0
    for rows in chunks(len(times_BC), times_BC.shape[1]):
        drawn = slice(start, start + rows)
        times_RC = times_BC[drawn].astype(np.float64)
        sizes_R = times_RC @ part.sizes
        sums_R = ((times_RC @ part.sums.T) * weight_BS[drawn]).sum(1)
        made.append(np.divide(sums_R, sizes_R, out=np.zeros(rows), where=sizes_R > 0))
        start += rows
    return np.concatenate(made)


@lru_cache(maxsize=2)
def _draws(
    seeds: int, clusters: int, draws: int, seed: int, counts: tuple[int, ...] | None = None
) -> tuple[Floats, NDArray[np.uint32]]:
    """How often each seed (as a share) and each cluster is drawn, [B, S] and [B, C]; the same for every figure.

    With `counts` how often one of each kind of clusters is, [B, K].
    """
    rng = np.random.default_rng(seed)
    weight_BS = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    chance = np.full(clusters, 1 / clusters) if counts is None else np.asarray(counts) / clusters
    times = [rng.multinomial(clusters, chance, size=rows).astype(np.uint32) for rows in chunks(draws, len(chance))]
    return weight_BS, np.concatenate(times)
