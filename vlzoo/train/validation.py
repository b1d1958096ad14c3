"""Validation while training: a saved checkpoint is measured now and then, and the best of them is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vlzoo.config.schema import Validation
from vlzoo.errors import TrainingError, did_you_mean
from vlzoo.runs.checkpoint import remove_older
from vlzoo.runs.run import Run
from vlzoo.runs.selection import FOUND, Best, best_of, found_by_validation
from vlzoo.train.schedule import Length

Meet = Callable[[], None]
"""Called by a process that has predicted its share; returns when all have."""
Measure = Callable[[Run, int, Meet], Mapping[str, float] | None]
"""A run, the step of one of its checkpoints, and where processes meet, to the figures of that checkpoint by name, the
main one first; None: another process has them."""


@dataclass(frozen=True)
class Validator:
    """Measures checkpoints of a run while it is trained.

    It reads what was saved and touches nothing that is being trained, so that the weights are the same without it. What
    it found stands in the run's metrics and nowhere else: a run that was stopped knows what is still to be measured.

    Attributes:
        wanted: the recipe's section.
        run: the run.
        length: of the run.
        keep: how many of the newest checkpoints are kept beside the best.
        measure: gives a checkpoint's figures.
        say: told what was found.
    """

    wanted: Validation
    run: Run
    length: Length
    keep: int
    measure: Measure
    say: Callable[[str], None]

    def due(self, step: int) -> bool:
        """Whether the checkpoint of a step is to be measured."""
        every = max(1, round(self.wanted.every * self.length.per_epoch))
        return step > 0 and (step % every == 0 or step == self.length.steps)

    def best(self) -> Best | None:
        """The best so far."""
        return best_of(self.run, self.wanted.metric)

    def spared(self) -> int | None:
        """The step whose checkpoint must stay."""
        best = self.best()
        return None if best is None else best.step

    def validate(self, step: int, meet: Meet = lambda: None) -> None:
        """Measure the checkpoint of a step, unless that was done, it is not due, or the disk had no room for it.

        Every process takes its share.

        Raises:
            VlzooError: it can't be measured, or the task gives no figure of the name that the recipe wants.
        """
        done = found_by_validation(self.run.metrics())
        if not self.due(step) or step in done or step not in self.run.saved_steps():
            return
        found = self.measure(self.run, step, meet)
        if found is None:
            return
        figures = dict(found)
        metric = self.wanted.metric or next(iter(figures), "")
        if metric not in figures:
            fix = (
                did_you_mean(metric, figures, what="figures") + "; then go on with --resume --set validation.metric=..."
            )
            raise TrainingError(f"validation gives no figure called {metric!r}", fix=fix)
        row = {"step": step, "time": time.time(), **{FOUND + name: value for name, value in figures.items()}}
        self.run.log(row)
        self.run.watch("validation", row)
        self.say(f"validation at step {step}: {metric} {figures[metric]:.2f}")
        remove_older(self.run.checkpoints(), self.keep, self.spared())
