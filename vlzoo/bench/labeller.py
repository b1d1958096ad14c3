"""What tasks with labels ask of a model: logits of their classes.

Legend: B batch rows, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vlzoo.batch import Batch
from vlzoo.bench.engine import Engine
from vlzoo.bench.model import BenchModel
from vlzoo.errors import CheckpointError
from vlzoo.offers import Classes

Labeller = Callable[[Any], NDArray[np.float32]]
"""From a batch to logits [B, C]."""


@singledispatch
def labeller(model: BenchModel, task: str, labels: Sequence[str]) -> Labeller:
    """From a batch to logits [B, C] in the order of `labels`; a family registers its own.

    Raises:
        CheckpointError: the model was not made for the task.
    """
    model.cannot(task)


@labeller.register
def _(model: Engine, task: str, labels: Sequence[str]) -> Labeller:
    head: Classes | None = model.offered("classes")
    if head is None:
        raise CheckpointError(
            f"this run has no head for {task}", fix=f"`vlzoo finetune {task} --from RUN` makes one that has"
        )

    @torch.no_grad()
    def logits(batch: Batch) -> NDArray[np.float32]:
        with model.autocast():
            made: NDArray[np.float32] = head(model.step(batch)).float().cpu().numpy()
        return made

    return logits
