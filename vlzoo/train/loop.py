"""The training loop: draw a stream, make a step, update, log, keep."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vlzoo.config.schema import Recipe
from vlzoo.errors import TrainingError
from vlzoo.hashing import mix, name_word
from vlzoo.interfaces import Augmentation, Objective, TokenMask
from vlzoo.models.assemble import System
from vlzoo.models.precision import autocast
from vlzoo.models.teacher import Teacher
from vlzoo.progress import Progress
from vlzoo.runs.checkpoint import Checkpoint, load_into, load_optimizer, optimizer_tensors, tensors_of
from vlzoo.runs.run import Run
from vlzoo.step.draws import Draws
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.train.finite import FiniteLosses
from vlzoo.train.optim import make_optimizer, set_rate, trained
from vlzoo.train.schedule import Length, learning_rate, soft_weight
from vlzoo.types import Batch


@dataclass
class Feed:
    """A stream at work: its batches, the objectives that read them, and what they asked for.

    Attributes:
        name: the stream's name.
        batches: endless.
        objectives: by name.
        probability: the chance that an update is made on it at each step.
        augmentation: of its samples.
        token_mask: what weighs image tokens, for objectives that ask.
        plan: gathered from all of them.
    """

    name: str
    batches: Iterator[Batch]
    objectives: Mapping[str, Objective]
    probability: float = 1.0
    augmentation: Augmentation | None = None
    token_mask: TokenMask | None = None
    plan: Plan = field(default_factory=Plan)

    def __post_init__(self) -> None:
        self.plan.gather(self.objectives, augmentation=self.augmentation, token_mask=self.token_mask)


class Trainer:
    """Trains a system.

    Args:
        recipe: the recipe.
        run: the run folder.
        system: model and objectives, on `device`.
        length: how long.
        device: where.
        teacher: on `device`; None: a copy of the student as it is now, where the recipe has one.
    """

    def __init__(
        self,
        recipe: Recipe,
        run: Run,
        system: System,
        length: Length,
        *,
        device: torch.device | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.recipe, self.run, self.system, self.length = recipe, run, system, length
        self.device = device or torch.device("cpu")
        self.teacher = teacher or (Teacher(system, recipe.teacher.momentum) if recipe.teacher else None)
        self.optimizer = make_optimizer(system, recipe.train)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.train.precision == "fp16")
        self.finite = FiniteLosses(self.device)
        self._shown: dict[str, float] = {}
        self.step = 0
        self._stop = ""

    def fit(self, feeds: list[Feed]) -> None:
        """Train to the end, saving as it goes.

        Raises:
            TrainingError: a loss is not finite; names the step, the objective and the samples.
            KeyboardInterrupt: after saving, when the run was asked to stop.
        """
        self.system.train()
        progress = Progress("training", self.length.steps, done=self.step)
        try:
            with self._stoppable():
                while self.step < self.length.steps:
                    values = self.update(feeds)
                    self.step += 1
                    self._report(values, progress)
                    if self._due(self.recipe.train.save_every) or self._stop:
                        self.save()
                    if self._stop:
                        raise KeyboardInterrupt(f"{self._stop}: saved at step {self.step}")
        finally:
            progress.close()

    def update(self, feeds: list[Feed]) -> dict[str, Tensor]:
        """One training step: an update for each stream that is drawn.

        Returns:
            What is logged, by name, on the device: it may still be at work, and reading a number waits for it.

        Raises:
            TrainingError: a loss is not finite; when this shows, `FiniteLosses` says.
        """
        drawn = drawn_streams(self.recipe.train.seed, {f.name: f.probability for f in feeds}, self.step, self.step + 1)
        batches = [(feed, next(feed.batches)) for feed in feeds if drawn[feed.name][0]]
        # Dropout and all else that torch draws: the same after a resume, without saving generator states. After the
        # batches are read, because a loader draws a number when it starts, and a resumed run starts one here.
        torch.manual_seed(int(mix(self.recipe.train.seed, self.step, name_word("torch"))) >> 1)
        set_rate(self.optimizer, learning_rate(self.recipe.train, self.step, self.length))
        values: dict[str, Tensor] = {}
        for feed, batch in batches:
            values |= self._update_on(feed, batch)
        return values

    def _update_on(self, feed: Feed, batch: Batch) -> dict[str, Tensor]:
        self.system.before_step()
        if self.teacher is not None:
            self.teacher.update(self.system)
        with autocast(self.device, self.recipe.train.precision):
            step = self._step(feed, batch)
            losses = self.system(step, list(feed.objectives))
        self.finite.note(losses, step=self.step, samples=batch.names)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(losses.total).backward()
        if self.recipe.train.clip is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.system.parameters(), self.recipe.train.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        for objective in feed.objectives.values():
            objective.after_step(step)
        return losses.figures

    def _step(self, feed: Feed, batch: Batch) -> Step:
        there = batch.to(self.device)
        return Step(
            there,
            self.system.model,
            teacher=self.teacher,
            draws=Draws(self.recipe.train.seed, self.step, (there.key, batch.key)),
            plan=feed.plan,
            alpha=soft_weight(self.recipe.teacher, self.step, self.length),
            token_mask=feed.token_mask,
            host=batch,
        )

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.length.steps

    def _report(self, values: Mapping[str, Tensor], progress: Progress) -> None:
        train, logged = self.recipe.train, self._due(self.recipe.train.log_every)
        if logged or self.finite.at_once:
            self.finite.check()
            self._shown = {name: float(value) for name, value in values.items()}
        progress.update(self.step, self._shown)
        if logged:
            rate = learning_rate(train, self.step - 1, self.length)
            seen = self.step * train.batch
            about = {"step": self.step, "samples": seen, "lr": rate, "samples_per_s": progress.speed * train.batch}
            row = {**about, "time": time.time(), **self._shown}
            self.run.log(row)
            self.run.watch("step", row)

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            TrainingError: it can't be written, a loss was not finite, or a gradient has ruined the weights since.
        """
        self.finite.check()
        ruined = [name for name, p in trained(self.system).items() if not torch.isfinite(p).all()]
        if ruined:
            raise TrainingError(
                f"{len(ruined)} weights are not finite after step {self.step - 1}, the first is {ruined[0]}",
                fix="lower train.lr or set train.clip; checkpoints before this are whole",
            )
        names = {id(p): name for name, p in trained(self.system).items()}
        files = {"system": tensors_of(self.system), "optimizer": optimizer_tensors(self.optimizer, names)}
        if self.teacher is not None:
            files["teacher"] = tensors_of(self.teacher)
        state = {"step": self.step, "scaler": self.scaler.state_dict(), "steps": self.length.steps}
        kept = self.run.save(self.step, files, state, keep=self.recipe.train.keep)
        self.run.watch("checkpoint", {"step": self.step, "folder": str(kept.folder)})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: it was made for another recipe.
        """
        load_into(self.system, checkpoint.tensors("system"), where=str(checkpoint.folder))
        if self.teacher is not None:
            load_into(self.teacher, checkpoint.tensors("teacher"), where=str(checkpoint.folder))
        names = {id(p): name for name, p in trained(self.system).items()}
        load_optimizer(self.optimizer, checkpoint.tensors("optimizer"), names)
        self.scaler.load_state_dict(checkpoint.state()["scaler"])
        self.step = checkpoint.step

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and SIGUSR1 end the run after the update at hand, with a checkpoint."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        before = {number: signal.signal(number, self._on_signal) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: Any) -> None:
        if self._stop:
            raise KeyboardInterrupt("stopped twice: not saved")
        self._stop = signal.Signals(number).name


def drawn_streams(seed: int, chances: Mapping[str, float], start: int, end: int) -> dict[str, np.ndarray]:
    """Which streams the steps `start` to `end` - 1 draw, by name, [end - start] bool each.

    Args:
        seed: the run's seed.
        chances: each stream's probability by its name; the last stream stands in where none is drawn.
        start: the first step.
        end: the step after the last.
    """
    steps = np.arange(start, end, dtype=np.uint64)
    drawn = {name: mix(seed, steps, name_word(name)) / 2.0**64 < chance for name, chance in chances.items()}
    last = list(chances)[-1]
    drawn[last] = drawn[last] | ~np.logical_or.reduce(list(drawn.values()))
    return drawn
