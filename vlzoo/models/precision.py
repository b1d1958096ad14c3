"""How precisely a forward pass computes, and on which device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from vlzoo.errors import VlzooError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Precisions by name; None: as the weights are."""


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Around forward passes on a device: what may be computed in `precision` is."""
    kind = PRECISIONS[precision]
    return torch.autocast(device.type, kind) if kind else nullcontext()


def device_of(name: str | None) -> torch.device | None:
    """The device called `name`; None where none is named.

    Raises:
        VlzooError: there is no such device here.
    """
    if name is None:
        return None
    try:
        device = torch.device(name)
    except RuntimeError:
        raise VlzooError(f"no device called {name!r}", fix="write cpu, cuda or cuda:1") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise VlzooError(f"{name!r}: torch sees no GPU here", fix="leave --device out, or install torch for your GPU")
    return device


def default_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
