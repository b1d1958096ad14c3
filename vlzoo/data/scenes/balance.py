"""Choosing pictures for a question so that its answers are equally frequent: text alone then tells nothing."""

from __future__ import annotations

from random import Random

import numpy as np

from vlzoo.data.scenes.facts import Ints


def balanced(label_N: Ints, quota: int, rng: Random, *, whole: bool = False) -> list[tuple[int, int]]:
    """Up to `quota` pairs of (row, label), each label equally often, no row twice.

    A label too rare for half its share is left out, unless all labels are wanted.

    Args:
        label_N: each row's label; -1 where the question does not apply.
        quota: how many rows are wanted.
        rng: where the lot comes from.
        whole: keep every label that occurs, however rare, and take fewer rows instead.
    """
    rows = {int(label): np.flatnonzero(label_N == label) for label in np.unique(label_N) if label >= 0}
    while not whole and len(rows) > 2:
        rarest = min(rows, key=lambda label: len(rows[label]))
        if len(rows[rarest]) * 2 * len(rows) >= quota:
            break
        del rows[rarest]
    if len(rows) < 2:
        return []
    each = min(max(1, quota // len(rows)), *(len(found) for found in rows.values()))
    return [(int(row), label) for label, found in rows.items() for row in rng.sample(found.tolist(), each)]


def shares(total: int, parts: int) -> list[int]:
    """`total` cut into `parts` whole numbers that differ by one at most."""
    return [total * (part + 1) // parts - total * part // parts for part in range(parts)]
