"""What travels between parts, looked at number by number: what changed, what is not finite, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

NEAR = {"rtol": 1e-3, "atol": 1e-4}
"""How near two results are that differ by the order of sums alone, in float32."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything inside a value that is no container, by its path.

    >>> list(leaves({"a": [1, "x"]}))
    [('a[0]', 1), ('a[1]', 'x')]
    """
    if is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from leaves(getattr(value, each.name), f"{path}.{each.name}".lstrip("."))
    elif isinstance(value, Mapping):
        for name, held in value.items():
            yield from leaves(held, f"{path}[{name!r}]" if path else str(name))
    elif isinstance(value, list | tuple):
        for place, held in enumerate(value):
            yield from leaves(held, f"{path}[{place}]")
    else:
        yield path, value


def snapshot(value: Any) -> dict[str, Any]:
    """The leaves of a value, tensors and arrays copied."""
    return {path: _copied(leaf) for path, leaf in leaves(value)}


def changed(before: Mapping[str, Any], value: Any) -> list[str]:
    """The paths of a value whose leaves are others than in a snapshot, those that came or went too."""
    now = dict(leaves(value))
    gone = [path for path in before if path not in now]
    return gone + [path for path, leaf in now.items() if path not in before or not equal(before[path], leaf)]


def equal(one: Any, other: Any) -> bool:
    """Whether two leaves are the same: tensors and arrays by every number, NaN equal to NaN."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and bool(((one == other) | (one.isnan() & other.isnan())).all())
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return bool(one is other or one == other)


def near(one: Tensor, other: Tensor, *, rtol: float = NEAR["rtol"], atol: float = NEAR["atol"]) -> bool:
    """Whether two tensors differ by rounding at most."""
    return one.shape == other.shape and torch.allclose(one.float(), other.float(), rtol=rtol, atol=atol)


def number(value: Tensor | float) -> float:
    """One number, for messages."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def furthest(one: Tensor, other: Tensor) -> str:
    """How far two tensors are from each other, for messages."""
    if one.shape != other.shape:
        return f"{list(one.shape)} against {list(other.shape)}"
    return f"{float((one.detach().float() - other.detach().float()).abs().max()):.3g} at most"


def _copied(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return leaf.detach().clone()
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf
