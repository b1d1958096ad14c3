"""Rows of different length put together so that little of a forward pass is padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

WASTE, PACKED = 0.1, 0.5
"""At most this share of a bucket's tokens is padding, unless a bucket would hold fewer than `FEW` rows; the second for
models that leave padding out of all but self-attention."""
FEW = 8


def buckets(length_P: Ints, tokens: int, waste: float = WASTE) -> Iterator[Ints]:
    """Numbers of rows, bucket by bucket, shortest rows first.

    Args:
        length_P: each row's tokens, [P].
        tokens: at most so many tokens in a bucket, padding included; one row is always let in.
        waste: the share of padding allowed.
    """
    order = np.argsort(length_P, kind="stable")
    start, real = 0, 0
    for end, row in enumerate(order):
        longest, rows = int(length_P[row]), end - start
        padded = longest * (rows + 1)
        wasteful = rows >= FEW and padded - real - longest > waste * padded
        if rows and (wasteful or padded > tokens):
            yield order[start:end]
            start, real = end, 0
        real += longest
    if len(order):
        yield order[start:]
