"""What is told of a run beside its figures: how large it is, how long a step took, and on which machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch

from vlzoo.machine import processor
from vlzoo.runs.run import Run
from vlzoo.step.cost import cost_of


def of_run(folder: Path) -> dict[str, Any]:
    """`parameters`, `step_ms` and `machine` of a run that this process trained."""
    run = Run(folder)
    return {"parameters": parameters(run), "step_ms": step_ms(steps(run)), "machine": machine()}


def steps(run: Run) -> list[dict[str, Any]]:
    """What was logged of steps; a checkpoint that was measured has a row of its own with the number of its step."""
    return [row for row in run.metrics() if "lr" in row]


def parameters(run: Run) -> int:
    """How many numbers a run learns, as `vlzoo check --cost` counts, with as many words as the run's own."""
    recipe = run.recipe()
    words = recipe.tokenizer.model_copy(update={"size": run.tokenizer(recipe).vocab})
    return cost_of(recipe.model_copy(update={"tokenizer": words}))[-1].parameters


def step_ms(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Milliseconds from a step to the next: the median over what lies between two logged ones; None: one was logged.

    >>> step_ms([{"step": 20, "time": 3.0}, {"step": 40, "time": 5.0}])
    100.0
    """
    gaps = [1000 * (after["time"] - row["time"]) / (after["step"] - row["step"]) for row, after in pairwise(rows)]
    return round(median(gaps), 2) if gaps else None


def machine() -> str:
    """The device that computes; of a processor also its cores, and how many threads a run has."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{processor()}, {os.cpu_count()} cores, threads a run: {torch.get_num_threads()}"
