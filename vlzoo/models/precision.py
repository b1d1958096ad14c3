"""Where forward passes run, and in which numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Names of precisions -> what autocast computes in; None: as the weights are."""


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """The context of forward passes in a precision, a key of `PRECISIONS`.

    >>> with autocast(torch.device("cpu"), "bf16"):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.bfloat16
    """
    kind = PRECISIONS[precision]
    return torch.autocast(device.type, kind) if kind else nullcontext()


def default_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
