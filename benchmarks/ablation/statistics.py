"""Means and differences over seeds and test pictures, with intervals that cover both.

Legend: S seeds, C pictures (with all their queries or words), B bootstrap draws, M figures that make up one.

A figure is a mean of ratios: `mean over its parts of sum of values / number of queries`. TR R@1 has one part, mean
recall has two (text retrieval counts pictures, image retrieval texts). The bootstrap draws seeds and pictures with
replacement, independently (both are crossed: every seed is measured on the same pictures), and takes percentiles.
With three seeds the part that seeds contribute is rough: there are ten ways to draw them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vlzoo.metrics.intervals import DRAWS, paired_difference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Sums a picture contributes to one ratio.

    Attributes:
        sums: of the values, for every seed, [S, C].
        sizes: of queries, the same for every seed, [C].
    """

    sums: Floats
    sizes: Floats

    @classmethod
    def of(cls, values: Sequence[Floats], clusters: NDArray[np.int64], count: int) -> Part:
        """From each seed's values [queries] and the picture of each query, `count` pictures in all."""
        sums = [np.bincount(clusters, weights=value, minlength=count) for value in values]
        return cls(np.asarray(sums, dtype=np.float64), np.bincount(clusters, minlength=count).astype(np.float64))

    def minus(self, other: Part) -> Part:
        """The difference, query by query.

        Raises:
            ValueError: other queries.
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
        interval: 95 %, over seeds and pictures; None with fewer than two pictures.
        seeds: the value of each seed.
        p_value: for a difference: two-sided, by flipping the sign of whole pictures (these seeds, other pictures).
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


def difference(row: Sequence[Part], baseline: Sequence[Part], *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The figure of `row` minus that of `baseline`: same seeds, same test samples.

    Raises:
        ValueError: they are not the same.
    """
    gaps = [one.minus(other) for one, other in zip(row, baseline, strict=True)]
    found = estimate(gaps, draws=draws, seed=seed)
    # Each picture's share of the figure; its sign is what the test flips.
    shares_C = np.mean([gap.sums.mean(0) / gap.sizes.sum() for gap in gaps], axis=0)
    p_value = paired_difference(shares_C, np.zeros_like(shares_C), draws=draws, seed=seed).p_value
    return Estimate(found.mean, found.interval, found.seeds, p_value)


def _interval(parts: Sequence[Part], draws: int, seed: int) -> tuple[float, float] | None:
    seeds, pictures = parts[0].sums.shape
    if pictures < 2:
        return None
    weight_BS, times_BC = _draws(seeds, pictures, draws, seed)
    ratios = []
    for part in parts:
        sizes_B = times_BC @ part.sizes
        sums_B = ((times_BC @ part.sums.T) * weight_BS).sum(1)
        ratios.append(np.divide(sums_B, sizes_B, out=np.zeros(draws), where=sizes_B > 0))
    low, high = np.quantile(np.mean(ratios, axis=0), [0.025, 0.975])
    return float(low), float(high)


@lru_cache(maxsize=8)
def _draws(seeds: int, pictures: int, draws: int, seed: int) -> tuple[Floats, Floats]:
    """How often each seed (as a share) and each picture is drawn, [B, S] and [B, C]; the same for every figure."""
    rng = np.random.default_rng(seed)
    weight_BS = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    times_BC = rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=draws).astype(np.float64)
    return weight_BS, times_BC
