"""The training loop: draw streams, make a step, update, log, keep, validate."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, nullcontext

import torch
from torch import Tensor

from vlzoo.batch import Batch
from vlzoo.config.schema import Recipe
from vlzoo.draws import Draws
from vlzoo.hashing import mix, name_word
from vlzoo.models.assemble import System
from vlzoo.models.checkpointing import spare_memory
from vlzoo.models.compiling import backend_of, compile_layers
from vlzoo.models.guarded import after_step
from vlzoo.models.precision import autocast
from vlzoo.models.teacher import Teacher
from vlzoo.progress import Progress
from vlzoo.runs.checkpoint import Checkpoint, like_moment, load_into, load_optimizer, optimizer_tensors, tensors_of
from vlzoo.runs.run import Run
from vlzoo.signals import answered
from vlzoo.step.columns import columns_of
from vlzoo.step.step import Step
from vlzoo.train.engine import Engine
from vlzoo.train.feed import Feed
from vlzoo.train.finite import FiniteLosses, refuse_ruined
from vlzoo.train.memory import held_at_most
from vlzoo.train.optim import make_optimizer, set_rate, trained
from vlzoo.train.saving import Saver
from vlzoo.train.schedule import Length, learning_rate, soft_weight
from vlzoo.train.side_effects import SideEffects
from vlzoo.train.spikes import Spikes
from vlzoo.train.streams import drawn_streams, samples_seen
from vlzoo.train.validation import Validator


class Trainer:
    """Trains a system.

    Args:
        recipe: the recipe.
        run: the run folder.
        system: model and objectives, on the engine's device.
        length: how long.
        teacher: on the engine's device; None: a copy of the student as it is now, where the recipe has one.
        fresh: names of the weights that no start filled.
        validator: measures checkpoints now and then; None: nobody does.
        engine: this process, alone or among others; None: alone, on the CPU.
    """

    def __init__(
        self,
        recipe: Recipe,
        run: Run,
        system: System,
        length: Length,
        *,
        teacher: Teacher | None = None,
        fresh: Collection[str] = (),
        validator: Validator | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.recipe, self.run, self.system, self.length, self.validator = recipe, run, system, length, validator
        self.engine = engine or Engine(torch.device("cpu"))
        self.device = self.engine.device
        self.teacher = teacher or (Teacher(system, recipe.teacher.momentum) if recipe.teacher else None)
        spare_memory(system, recipe.train)
        models = [each.model for each in (system, self.teacher) if each is not None]
        compile_layers(models, backend_of(recipe.train.compile), self.device)
        self.forward = self.engine.wrap(system, self.teacher)
        self.learned = self.engine.parameters(system)
        self.optimizer = make_optimizer(system, recipe.train, fresh, self.learned)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.train.precision == "fp16")
        self.finite = FiniteLosses(self.device, system)
        self.side_effects = SideEffects(system, self.engine)
        self.saver = Saver(run, self.engine, recipe.train.keep, recipe.train.save_async)
        self.spikes = Spikes(recipe.train.spikes)
        self._shown: dict[str, float] = {}
        self.step = self.seen = 0
        self._stop, self._told, self._measuring = "", "", False
        # Of each process its own, or its rows would drop out the same units.
        self._dice = "torch" if self.engine.share.leads else f"torch {self.engine.share.number}"

    def fit(self, feeds: list[Feed]) -> None:
        """Train to the end, saving as it goes, and measuring where there is a validator.

        Raises:
            TrainingError: a loss is not finite; names the step, the objective and the samples.
            KeyboardInterrupt: after saving, when the run was asked to stop.
        """
        self.system.train()
        with answered(self._asked_to_stop), self.saver.ending():
            self._validate()  # a run may have been stopped before its last checkpoint was measured
            while self.step < self.length.steps:
                self._fit_on(feeds)
                self._validate()

    def _fit_on(self, feeds: list[Feed]) -> None:
        """Train up to the next validation or the end, under a bar that ends there: validation has its own."""
        self._before, pauses = (self.step, self.seen), False
        silent = not self.engine.share.leads
        with closing(Progress("training", self.length.steps, done=self.step, silent=silent)) as progress:
            while self.step < self.length.steps and not pauses:
                values = self.update(feeds)
                self.step += 1
                self._report(values, progress)
                self.side_effects.look(self.step)
                pauses = self.validator is not None and self.validator.due(self.step)
                stop = self.engine.agree(self._stop)  # once: what is asked for after the save is not taken for saved
                if self._due(self.recipe.train.save_every) or stop or pauses:
                    self.save(must=bool(stop) or self.step == self.length.steps, now=pauses)
                if stop:
                    self._end_together(stop)

    def _validate(self) -> None:
        """Measure the checkpoint of this step, if that is due and not done."""
        if self.validator is None or not self.validator.due(self.step):
            return
        if stop := self.engine.agree(self._stop):  # asked for since the checkpoint was saved
            self._end_together(stop)
        self.engine.does("measuring", self.step)
        try:
            self._measuring, self._told = True, ""
            self.validator.validate(self.step, self._meet)
        except KeyboardInterrupt:
            if not (self._stop or self._told):
                raise  # else the others must hear of it first
        self._measuring = False
        if stop := self._told or self.engine.agree(self._stop):
            self._end_together(stop)

    def _meet(self) -> None:
        """Wait until every process has predicted its share; who was asked to stop meets the others here, too."""
        self._measuring = False  # a signal now is heard after the others: what they are told here must not be lost
        self.engine.does("measuring" if self.engine.share.leads else "waiting", self.step)
        self._told = self.engine.agree(self._stop)
        if self._told:
            raise KeyboardInterrupt(self._told)
        self._measuring = self.engine.share.leads  # it scores what all have predicted

    def _end_together(self, stop: str) -> None:
        self.engine.does("waiting", self.step)
        self.engine.wait()  # who ended while the leading process saves would have it killed by torchrun
        raise KeyboardInterrupt(f"{stop}: saved at step {self.step}")

    def update(self, feeds: list[Feed]) -> dict[str, Tensor]:
        """One training step: an update for each stream that is drawn, or with `update: sum` one for all of them.

        Returns:
            What is logged, by name, on the device: it may still be at work, and reading a number waits for it.

        Raises:
            TrainingError: a loss is not finite; when this shows, `FiniteLosses` says.
        """
        train = self.recipe.train
        drawn = drawn_streams(train, {f.name: f.probability for f in feeds}, self.step, self.step + 1)
        self.engine.does("reading data", self.step)
        batches = [(feed.at(train.seed, self.step), next(feed.batches)) for feed in feeds if drawn[feed.name][0]]
        self.engine.does("step", self.step)
        # Dropout and all else that torch draws: the same after a resume, without saving generator states. After the
        # batches are read, because a loader draws a number when it starts, and a resumed run starts one here.
        torch.manual_seed(int(mix(train.seed, self.step, name_word(self._dice))) >> 1)
        set_rate(self.optimizer, learning_rate(train, self.step, self.length))
        values: dict[str, Tensor] = {}
        for together in [batches] if train.update == "sum" else [[each] for each in batches]:
            values |= self._update_on(together)
        self.seen += sum(feed.batch or train.batch for feed, _ in batches)
        return values

    def _update_on(self, batches: Sequence[tuple[Feed, Batch]]) -> dict[str, Tensor]:
        """One update by the sum of the losses on some streams' batches; gradients add up, one backward a stream."""
        self.system.before_step(f"at step {self.step + 1}")
        if self.teacher is not None:
            self.teacher.update(self.system)
        self.optimizer.zero_grad(set_to_none=True)
        values, steps = dict[str, Tensor](), list[tuple[Feed, Step]]()
        for place, (feed, batch) in enumerate(batches, 1):
            with nullcontext() if place == len(batches) else self.engine.before_last():
                with autocast(self.device, self.recipe.train.precision):
                    step = self._step(feed, batch)
                    losses = self.forward(step, list(feed.objectives))
                self.finite.note(losses, step=self.step + 1, samples=batch.names, stream=feed.label)
                self.scaler.scale(losses.total).backward()
            figures = feed.figures(losses)
            watched = {name: figures[name] for name in map(feed.called, losses.by_name)}
            self.spikes.note(self.step + 1, watched, batch.names)
            values |= figures
            steps.append((feed, step))
        self._apply()
        for feed, step in steps:
            after_step(feed.objectives, step)
        return values

    def _apply(self) -> None:
        """Change the weights by the gradients that are there."""
        self.engine.finish_backward()
        if self.recipe.train.clip is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.learned.values(), self.recipe.train.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _step(self, feed: Feed, batch: Batch) -> Step:
        there = batch.to(self.device)
        return Step(
            there,
            self.system.model,
            teacher=self.teacher,
            draws=Draws(self.recipe.train.seed, self.step, (there.key, batch.key), feed.label),
            plan=feed.plan,
            alpha=soft_weight(self.recipe.teacher, self.step, self.length),
            host=batch,
            columns=columns_of(len(there), self.device, self.recipe.train.negatives),
            parts=self.recipe.train.accumulate,
        )

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.length.steps

    def _report(self, values: Mapping[str, Tensor], progress: Progress) -> None:
        train, logged = self.recipe.train, self._due(self.recipe.train.log_every)
        if logged or self.finite.at_once:
            self.finite.check()
            values = self.engine.mean(values) if logged else values
            self._shown = {name: float(value) for name, value in values.items()}
        progress.update(self.step, self._shown)
        if logged:
            rate = learning_rate(train, self.step - 1, self.length)
            speed = progress.speed * (self.seen - self._before[1]) / (self.step - self._before[0])
            about = {"step": self.step, "samples": self.seen, "lr": rate, "samples_per_s": speed}
            row = {**about, **held_at_most(self.device), "time": time.time(), **self._shown}
            self._note_spikes()
            self.spikes.enter(self._shown)
            self.run.log(row)
            self.run.watch("step", row)

    def _note_spikes(self) -> None:
        """Note what all have found, with everybody's samples."""
        found = self.spikes.look(self.engine.mean, self.engine.join)
        for spike in found if self.engine.share.leads else ():
            self.run.spikes.append(spike)

    def save(self, *, must: bool = True, now: bool = True) -> None:
        """Write a checkpoint.

        Args:
            must: training ends with it: a full disk is an error.
            now: it is needed at once: nothing is left for later.

        Raises:
            TrainingError: it can't be written, a loss was not finite, or a gradient has ruined the weights since.
        """
        self.finite.check()
        self._note_spikes()  # what was noted since the last logged step is not saved
        if not (self.engine.share.leads or self.engine.savers):
            return
        self.engine.does("saving", self.step)
        self.saver.finish()  # or the copies of two checkpoints would take room at once
        refuse_ruined(trained(self.system), self.step)
        names = {id(p): name for name, p in self.learned.items()}
        files = {"system": tensors_of(self.system), "optimizer": optimizer_tensors(self.optimizer, names)}
        if self.teacher is not None:
            files["teacher"] = tensors_of(self.teacher)
        state = {"step": self.step, "scaler": self.scaler.state_dict(), "steps": self.length.steps}
        best = self.validator.spared() if self.validator is not None else None
        self.saver.save(self.step, files, state, spare=best, must=must, now=now)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: it was made for another recipe.
        """
        where = str(checkpoint.folder)
        load_into(self.system, checkpoint.tensors("system", self.system.state_dict().get), where=where)
        if self.teacher is not None:
            load_into(self.teacher, checkpoint.tensors("teacher", self.teacher.state_dict().get), where=where)
        names = {id(p): name for name, p in self.learned.items()}
        moments = checkpoint.tensors("optimizer", lambda row: like_moment(row, self.learned))
        load_optimizer(self.optimizer, moments, names)
        self.scaler.load_state_dict(checkpoint.state()["scaler"])
        self.step, self.seen = checkpoint.step, samples_seen(self.recipe, checkpoint.step)
        self.spikes.recall(row for row in self.run.metrics() if row.get("step", 0) <= self.step)

    def _asked_to_stop(self, name: str) -> None:
        """Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 end the run after the update at hand, with a checkpoint.

        Ctrl-C once more ends it at once: somebody waits. A scheduler that asks again is not impatient.
        """
        if self._stop and name != "SIGINT":
            return
        if self._stop:
            raise KeyboardInterrupt("a second Ctrl-C, before it had saved")
        self._stop = name
        if self._measuring:  # what it measures is saved, and may take long
            raise KeyboardInterrupt(f"{name}: saved at step {self.step}")
