"""vlzoo: a plugin-based zoo of vision-language pre-training methods."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlzoo.door.hookspecs import hookimpl

if TYPE_CHECKING:
    from vlzoo.batch import Batch
    from vlzoo.door.parts import Option
    from vlzoo.errors import VlzooError
    from vlzoo.interfaces import Objective
    from vlzoo.step.plan import Plan
    from vlzoo.step.step import Step
    from vlzoo.task import Task
    from vlzoo.types import Fused, Loss, Score, Tokens

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Fused",
    "Loss",
    "Objective",
    "Option",
    "Plan",
    "Score",
    "Step",
    "Task",
    "Tokens",
    "VlzooError",
    "hookimpl",
]

_LAZY = {
    "Batch": "batch",
    "Fused": "types",
    "Loss": "types",
    "Objective": "interfaces",
    "Option": "door.parts",
    "Plan": "step.plan",
    "Score": "types",
    "Step": "step.step",
    "Task": "task",
    "Tokens": "types",
    "VlzooError": "errors",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `import vlzoo` costs a plugin author nothing and never imports torch.
    if name in _LAZY:
        return getattr(import_module(f"vlzoo.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'vlzoo' has no attribute {name!r}")
