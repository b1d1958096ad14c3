"""Splits for data that have none: by a hash of the record's name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def hash_split(splits: Sequence[str], shares: Sequence[int], name: str) -> str:
    """The split that `name` falls into by its hash, for data without official splits.

    Args:
        splits: names of the splits.
        shares: percent of each, 100 together.
        name: the record's stable name, so that the split does not depend on order or on what else there is.
    """
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % 100
    for split, share in zip(splits, shares, strict=True):
        if place < share:
            return split
        place -= share
    raise ValueError("the shares are less than 100 percent")
