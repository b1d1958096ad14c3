"""vlzoo: a plugin-based zoo of vision-language pre-training methods."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlzoo.hookspecs import hookimpl

if TYPE_CHECKING:
    from vlzoo.errors import VlzooError
    from vlzoo.interfaces import Objective
    from vlzoo.types import Batch, Fused, Loss, Score, Tokens

__version__ = "0.1.0"

__all__ = ["Batch", "Fused", "Loss", "Objective", "Score", "Tokens", "VlzooError", "hookimpl"]

_LAZY = {
    "Batch": "types",
    "Fused": "types",
    "Loss": "types",
    "Objective": "interfaces",
    "Score": "types",
    "Tokens": "types",
    "VlzooError": "errors",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `import vlzoo` costs a plugin author nothing and never imports torch.
    if name in _LAZY:
        return getattr(import_module(f"vlzoo.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'vlzoo' has no attribute {name!r}")
