"""95 % intervals that respect clusters: all captions of an image rise and fall together.

Legend: N samples, C clusters, B bootstrap draws.

The cluster bootstrap draws whole clusters with replacement (Davison and Hinkley 1997, section 3.8) and takes
percentiles; `scipy.stats.bootstrap` draws single samples and so gives intervals that are too narrow here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 2000
"""Bootstrap draws; the ends of a 95 % interval then wander by a few per cent of its width between seeds."""

_CELLS = 4_000_000
"""How many drawn cluster numbers are held at once (32 MB)."""


def cluster_codes(names: Sequence[Hashable]) -> Ints:
    """Cluster names as numbers 0..C-1 in order of first appearance, [N]."""
    numbers: dict[Hashable, int] = {}
    return np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), dtype=np.int64, count=len(names))


def interval(
    values: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float] | None:
    """The percentile interval of the mean of `values` [N], by drawing clusters.

    Args:
        values: one number a sample.
        clusters: cluster number of each sample, [N]; None means that each stands alone.
        level: how much of the bootstrap distribution the interval holds.
        draws: bootstrap draws.
        seed: same seed, same interval.

    Returns:
        Both ends, or None where there are fewer than two clusters.
    """
    sums_C, sizes_C = _by_cluster(values, clusters)
    if len(sizes_C) < 2:
        return None
    means_B = _bootstrap_means(sums_C, sizes_C, draws, seed)
    tail = (1 - level) / 2
    low, high = np.quantile(means_B, [tail, 1 - tail])
    return float(low), float(high)


def _by_cluster(values: ArrayLike, clusters: ArrayLike | None) -> tuple[Floats, Floats]:
    """Sum and size of each cluster, [C] each; numbers that no sample has are left out."""
    values_N = np.asarray(values, dtype=np.float64)
    if clusters is None:
        return values_N, np.ones_like(values_N)
    codes_N = np.unique(np.asarray(clusters), return_inverse=True)[1]
    sums_C: Floats = np.bincount(codes_N, weights=values_N).astype(np.float64)
    return sums_C, np.bincount(codes_N).astype(np.float64)


def _bootstrap_means(sums_C: Floats, sizes_C: Floats, draws: int, seed: int) -> Floats:
    """The mean over samples in each draw of C clusters, [B]."""
    rng = np.random.default_rng(seed)
    means = []
    for rows in chunks(draws, len(sums_C)):
        drawn_RC = rng.integers(0, len(sums_C), size=(rows, len(sums_C)))
        means.append(sums_C[drawn_RC].sum(1) / sizes_C[drawn_RC].sum(1))
    return np.concatenate(means)


def chunks(draws: int, width: int) -> Iterator[int]:
    """Numbers of draws of `width` numbers each to make at a time, so that no more than 4 million are held.

    >>> list(chunks(2000, 2_500_000))[:2]
    [1, 1]
    """
    step = max(1, _CELLS // width)
    for done in range(0, draws, step):
        yield min(step, draws - done)
