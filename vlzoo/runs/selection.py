"""Which of a run's checkpoints is meant: the last, the best by what validation found, or one by its step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlzoo.errors import CheckpointError
from vlzoo.runs.run import Run

if TYPE_CHECKING:
    from vlzoo.runs.checkpoint import Checkpoint

FOUND = "validation/"
"""What stands before a figure of validation in the metrics."""


@dataclass(frozen=True)
class Best:
    """The best checkpoint that validation found.

    Attributes:
        step: its step.
        metric: the figure it was chosen by.
        value: of the figure.
    """

    step: int
    metric: str
    value: float

    def __str__(self) -> str:
        return f"step {self.step} is the best by validation: {self.metric} {self.value:.2f}"


def found_by_validation(rows: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, float]]:
    """Each validated step's figures by name, from a run's metrics.

    >>> found_by_validation([{"step": 2, "itm": 0.5}, {"step": 4, "validation/accuracy": 71.0}])
    {4: {'accuracy': 71.0}}
    """
    found = {
        row["step"]: {
            name.removeprefix(FOUND): value
            for name, value in row.items()
            if name.startswith(FOUND) and isinstance(value, int | float)
        }
        for row in rows
        if isinstance(row.get("step"), int)
    }
    return {step: figures for step, figures in found.items() if figures}


def best_of(run: Run, metric: str | None = None) -> Best | None:
    """The best checkpoint by a figure of validation; of equal ones the first. None: there was no validation.

    Args:
        run: the run.
        metric: the figure; None: the task's main one, which stands first.
    """
    rows = found_by_validation(run.metrics())
    named = [(step, metric or next(iter(figures)), figures) for step, figures in rows.items()]
    known = [Best(step, name, figures[name]) for step, name, figures in named if name in figures]
    return max(known, key=lambda each: (each.value, -each.step), default=None)


def chosen(run: Run, which: str = "") -> tuple[Checkpoint, str]:
    """A run's checkpoint, and what should be said of the choice; empty where there was none.

    Args:
        run: the run.
        which: `last`, `best` or a step; empty: the best where validation found one, else the last.

    Raises:
        CheckpointError: the folder is no run, or the checkpoint is not there; names those that are.
    """
    last, there = run.latest(), {each.step: each for each in run.checkpoints()}
    wanted = run.recipe().validation if which in ("", "best") else None
    best = best_of(run, wanted.metric) if wanted is not None else None
    if which == "best" and best is None:
        what = f"{str(run.folder)!r} keeps no best checkpoint: it was trained without validation"
        raise CheckpointError(what, fix="choose `last`, or train it by a recipe with a section `validation`")
    if best is not None and best.step in there:
        return there[best.step], f"{run.folder}: {best}"
    if which in ("", "last"):
        lost = f"; {best}, but is not there any more" if best is not None and not which else ""
        return last, f"{run.folder}: the last checkpoint, step {last.step}{lost}" if which or lost else ""
    step = best.step if best is not None else int(which) if which.isdecimal() else None
    if step not in there:
        what = f"{str(run.folder)!r} keeps no checkpoint {which!r}"
        raise CheckpointError(what, fix=f"choose last, best or one of {', '.join(map(str, there))}")
    return there[step], f"{run.folder}: the checkpoint of step {step}"
