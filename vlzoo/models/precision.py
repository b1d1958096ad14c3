"""The precision of forward passes, and the device they run on where nobody says."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

PRECISIONS: dict[str, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Name -> what autocast computes in; None: as the weights are."""


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Forward passes inside run in this precision."""
    kind = PRECISIONS[precision]
    return torch.autocast(device.type, kind) if kind else nullcontext()


def default_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
