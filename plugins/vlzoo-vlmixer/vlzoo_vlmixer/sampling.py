"""Patches drawn in proportion to their weights, without replacement (VLMixer, Wang et al. 2022). Pure numpy.

Legend: N patches of a concept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 3
"""How often patches that were drawn already are drawn anew, before all that are left race."""
ROOM = 8
"""So many times more patches than are drawn make drawing and throwing away the quicker way."""
LEAST = 1e-300
"""Weight of a patch without any: it is drawn once nothing else is left."""


def draw(
    cumulative_N: NDArray[np.float64], count: int, rng: np.random.Generator, before: float = 0.0
) -> NDArray[np.int64]:
    """Places of `count` patches, one drawn after the other in proportion to the weights of those that are left.

    All of them where there are no more, in the order drawn. Where none has a weight, each is as likely as the other.

    >>> sorted(draw(np.cumsum([0.0, 0.9, 0.0, 0.3]), 2, np.random.default_rng(0)).tolist())
    [1, 3]

    Args:
        cumulative_N: sums of the weights up to each patch and with it, [N].
        count: how many are wanted.
        rng: what draws.
        before: what the sums start from.
    """
    size = len(cumulative_N)
    if size <= count:
        return _race(cumulative_N, size, rng, before, {}) if size else np.arange(0)
    total, chosen = float(cumulative_N[-1]) - before, dict[int, None]()
    for _ in range(ROUNDS if size > ROOM * count and total > 0 else 0):
        # Whoever draws again until a new one comes draws from those that are left, in proportion.
        point = before + total * rng.random(count + count // 2 + 1)
        found = np.minimum(cumulative_N.searchsorted(point, side="right"), size - 1)
        chosen |= dict.fromkeys(found.tolist())
        if len(chosen) >= count:
            return np.fromiter(chosen, np.int64, len(chosen))[:count]
    return np.concatenate([np.fromiter(chosen, np.int64, len(chosen)), _race(cumulative_N, count, rng, before, chosen)])


def _race(
    cumulative_N: NDArray[np.float64], count: int, rng: np.random.Generator, before: float, chosen: dict[int, None]
) -> NDArray[np.int64]:
    """The first of a race in which each patch arrives at a rate of its weight (Efraimidis and Spirakis, 2006)."""
    weight_N = np.maximum(np.diff(cumulative_N, prepend=before), LEAST)
    arrival_N = rng.standard_exponential(len(weight_N)) / weight_N
    arrival_N[list(chosen)] = np.inf
    wanted = count - len(chosen)
    first = np.argpartition(arrival_N, wanted - 1)[:wanted]
    return first[np.argsort(arrival_N[first])]
