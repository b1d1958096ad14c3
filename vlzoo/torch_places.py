"""What of torch all parts compute with, and where it is: who replaces something there changes all parts.

It imports torch alone, so that a process that watches an import of vlzoo itself can load this file by its path.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

MODULES = {
    "torch": torch,
    "torch.Tensor": torch.Tensor,
    "torch.autograd": torch.autograd,
    "torch.linalg": torch.linalg,
    "torch.nn": nn,
    "torch.nn.functional": nn.functional,
    "torch.nn.init": nn.init,
    "torch.optim": torch.optim,
    "torch.optim.Optimizer": torch.optim.Optimizer,
}
"""Where functions are looked at, beside the methods of every module of `torch.nn`."""


def _places() -> dict[str, Any]:
    layers = {f"torch.nn.{name}": each for name, each in vars(nn).items() if isinstance(each, type)}
    return MODULES | {name: each for name, each in layers.items() if issubclass(each, nn.Module)}


PLACES = _places()
"""Modules and classes by name, those that torch had when this was imported."""


def functions() -> dict[str, Any]:
    """What is at the places now, by full name: functions, methods, properties and classes.

    >>> functions()["torch.softmax"] is torch.softmax
    True
    """
    held = [(f"{place}.{name}", each) for place, space in PLACES.items() for name, each in vars(space).items()]
    return {name: _unwrapped(each) for name, each in held if is_watched(name, each)}


def is_watched(name: str, value: Any) -> bool:
    """Whether something, by its full name, is what is looked at; the rest are numbers, modules and the like."""
    # torch.Storage is another class with every default type: torch.set_default_dtype moves it.
    return name != "torch.Storage" and (callable(value) or isinstance(value, staticmethod | classmethod | property))


def _unwrapped(value: Any) -> Any:
    """What lies behind the wrapper that torch puts around `torch.manual_seed` when its compiler is first imported."""
    wraps = getattr(value, "__globals__", {}).get("__name__") == "torch._compile"
    return getattr(value, "__wrapped__", value) if wraps else value
