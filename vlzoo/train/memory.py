"""A device whose memory is full, told so that it can be mended."""

from __future__ import annotations

import re

import torch

from vlzoo.errors import TrainingError

LESS = (
    "compute the batch in parts, --set train.accumulate=4, or layers again, --set train.checkpointing=true; or make "
    "train.batch, the pictures or the model smaller"
)


def no_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, the device's or the machine's."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def out_of_memory(error: BaseException) -> TrainingError:
    """What is said of it, with what was asked for where the error tells."""
    asked = re.search(r"tried to allocate [\d.]+ \w+", str(error), re.IGNORECASE)
    what = "there is not enough memory" + (f": {asked[0].lower()}" if asked else "")
    return TrainingError(what, fix=LESS)
