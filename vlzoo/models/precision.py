"""How precisely a forward pass computes, and on which device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Precisions by name; None: as the weights are."""


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Around forward passes on a device: what may be computed in `precision` is."""
    kind = PRECISIONS[precision]
    return torch.autocast(device.type, kind) if kind else nullcontext()


def default_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
