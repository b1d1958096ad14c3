"""The memory of a device: how much was held at most; that it is full, told so that it can be mended."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from vlzoo.errors import TrainingError, origin
from vlzoo.progress import most_memory


def held_at_most(device: torch.device) -> dict[str, float]:
    """The most memory that this process has held so far, `memory_gb` in 10^9 bytes; nothing where no system says.

    Of a GPU what tensors took there, on the CPU all that the process took.

    >>> held_at_most(torch.device("cpu"))["memory_gb"] > 0.01
    True
    """
    most = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else most_memory()
    return {} if most is None else {"memory_gb": round(most / 1e9, 6)}


def held_now(device: torch.device) -> dict[str, int]:
    """What is held now, in bytes: what tensors take of a GPU, and what the process took for itself, where Linux says.

    >>> held_now(torch.device("cpu"))["the process"] > 10_000_000
    True
    """
    held = {"the GPU": torch.cuda.memory_allocated(device)} if device.type == "cuda" else {}
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # another system
        return held
    # Without the pages of mapped files: those of data come one by one, and go when memory is short.
    own = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return held | ({"the process": 1024 * int(own[1])} if own else {})


LESS = (
    "compute the batch in parts, --set train.accumulate=4, or layers again, --set train.checkpointing=true; or make "
    "train.batch, the pictures or the model smaller"
)


def no_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, the device's or the machine's."""
    error = origin(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def out_of_memory(error: BaseException) -> TrainingError:
    """What is said of it, with what was asked for where the error tells."""
    asked = re.search(r"tried to allocate [\d.]+ \w+", str(error), re.IGNORECASE)
    what = "there is not enough memory" + (f": {asked[0].lower()}" if asked else "")
    return TrainingError(what, fix=LESS)
