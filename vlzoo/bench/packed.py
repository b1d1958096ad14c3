"""Arrays inside a row of predictions, as text: four bytes a number instead of twenty, and exact."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pack(values: ArrayLike, kind: str) -> str:
    """Numbers [n] as base64 of little-endian `kind`: `<f4`, `<i4`, `|u1`."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.dtype(kind)).tobytes()).decode("ascii")


def unpack(value: str | Sequence[Any], kind: str) -> NDArray[Any]:
    """What `pack` was given, [n]; a plain list of numbers is taken too.

    Raises:
        ValueError: not base64, or not a whole number of values.
    """
    if not isinstance(value, str):
        return np.array(value, dtype=np.dtype(kind))
    return np.frombuffer(base64.b64decode(value, validate=True), dtype=np.dtype(kind))
