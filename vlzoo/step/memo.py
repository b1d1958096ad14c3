"""Values that are computed when first asked for, and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True)
class Memo:
    """What was computed so far.

    >>> memo = Memo()
    >>> memo("two", lambda: 2), memo("two", lambda: 3)
    (2, 2)

    Attributes:
        grad: whether values keep their history, though they may be asked for first under `no_grad` (to mine
            negatives, say): losses read them too.
        values: by key.
    """

    grad: bool = True
    values: dict[Any, Any] = field(default_factory=dict)

    def __call__(self, key: Any, compute: Callable[[], T]) -> T:
        """The value under a key."""
        if key not in self.values:
            with torch.set_grad_enabled(self.grad):
                self.values[key] = compute()
        return self.values[key]
