"""From a recipe and a folder to a training run: data, tokenizer, model, feeds."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch

from vlzoo.config.check import Checked
from vlzoo.config.schema import Recipe
from vlzoo.config.training_problems import nothing_to_learn
from vlzoo.data.held_out import told, trained_on
from vlzoo.data.roots import data_root
from vlzoo.data_parts import Rows
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, TrainingError
from vlzoo.models.assemble import System, build_system
from vlzoo.models.teacher import Teacher
from vlzoo.runs.follower import Follower
from vlzoo.runs.lock import locked
from vlzoo.runs.run import Run
from vlzoo.runs.start import is_empty, start_run
from vlzoo.task import Task
from vlzoo.text.cleaning import pre_caption
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.train.engine import Engine
from vlzoo.train.engines import make_engine
from vlzoo.train.feed import Feed
from vlzoo.train.feeds import (
    Data,
    check_batches,
    check_inputs,
    check_sides,
    make_feeds,
    open_sources,
    region_width,
    rows_of,
)
from vlzoo.train.loop import Trainer
from vlzoo.train.memory import no_memory, out_of_memory
from vlzoo.train.schedule import length_of
from vlzoo.train.streams import samples_a_step, steps_an_epoch
from vlzoo.train.validation import Measure, Validator
from vlzoo.weights.start import find_starts, start_system

logger = logging.getLogger("vlzoo.train")


@dataclass(frozen=True)
class Job:
    """What is to be trained, from what, and where.

    Attributes:
        checked: the recipe.
        out: the run folder.
        root: the data root.
        start: a run to start from; None: fresh weights.
        resume: go on where an interrupted run stopped.
        overwrite: delete the run that is in `out` first.
        device: where to train; None: a GPU where there is one.
        say: told what happens, line by line.
        measure: gives figures of a checkpoint, for a recipe that validates: `vlzoo.bench.validate.Measuring`.
    """

    checked: Checked
    out: Path
    root: str | None = None
    start: Path | None = None
    resume: bool = False
    overwrite: bool = False
    device: torch.device | None = None
    say: Callable[[str], None] = logger.info
    measure: Measure | None = None


def train(job: Job) -> Run:
    """Train a recipe into a run folder.

    Raises:
        VlzooError: anything a user can mend.
    """
    recipe = job.checked.recipe
    if not recipe.active:
        what, fix = nothing_to_learn()
        raise TrainingError(what, fix=fix)
    engine = make_engine(job.device, shard=recipe.train.shard)
    with engine.answering():
        return train_with(engine, job)


def train_with(engine: Engine, job: Job) -> Run:
    """As `train`, by an engine."""
    recipe = job.checked.recipe
    job = job if engine.share.leads else replace(job, say=lambda _: None)
    with engine.first():  # what is read at first leaves a cache behind, and mistakes are told once
        sources = open_sources(recipe, job.root)
        rows = [rows_of(recipe, stream) for stream in recipe.all_streams]
        check_batches(recipe, sources, engine.share)
        check_sides(recipe, sources, rows)
        check_inputs(recipe, sources)
        for each in rows:
            each.open(data_root(job.root), region_width(recipe))
    if job.overwrite or not Run(job.out).checkpoints():
        find_starts(recipe.start)
    if recipe.validation is not None and job.measure is None:
        raise TrainingError("the recipe validates, and nothing to measure with was given", fix="give Job(measure=...)")
    if job.overwrite and job.start is not None and job.start.resolve().is_relative_to(job.out.resolve()):
        what = f"the run to start from, {str(job.start)!r}, lies in {str(job.out)!r}, which is to be overwritten"
        raise TrainingError(what, fix="choose another --out")
    with locked(job.out, job.say) if engine.share.leads else nullcontext():
        with engine.first():
            run, undo = begin(job, engine)
        with engine.together(run.processes, recipe.train.patience):
            train_into(run, job, engine, sources, rows, undo)
    return run


def begin(job: Job, engine: Engine) -> tuple[Run, Callable[[], None]]:
    """The run's folder, made or taken up by the process that leads; and what undoes that before the first update."""
    if not engine.share.leads:
        return Follower(job.out), lambda: None
    empty = is_empty(job.out)
    rmtree(Run(job.out).processes, ignore_errors=True)  # of processes that were killed
    run = start_run(job.out, job.checked, resume=job.resume, overwrite=job.overwrite, say=job.say)
    return run, run.remove if empty else run.clear if not job.resume else lambda: None


def train_into(
    run: Run, job: Job, engine: Engine, sources: Sequence[Any], rows: Sequence[Rows], undo: Callable[[], None]
) -> None:
    """Train into a folder that was begun.

    Args:
        run: its run.
        job: what is to be trained.
        engine: this process, alone or among others.
        sources: the data of every stream.
        rows: likewise.
        undo: called where training ends before its first update: nothing must be left in the way of the next try.
    """
    recipe, trainer, feeds = job.checked.recipe, None, list[Feed]()
    try:
        about = described(sources, run.noted().get("data") or ())
        refuse_other_data(run, about)
        with engine.first():
            texts = texts_of(sources, rows)
            data = Data(sources, rows, kept_tokenizer(run, recipe, texts, job.start), kept_task(run, recipe, sources))
        trainer = make_trainer(job, run, data, engine)
        engine.agree_on_step(trainer.step)
        run.rewind(trainer.step)
        parameters = sum(p.numel() for p in trainer.system.parameters())
        run.note(
            parameters=parameters,
            steps=trainer.length.steps,
            data=about,
            started_on=trained_on(Run(job.start).noted()) if job.start else [],
        )
        feeds = make_feeds(run, data, trainer)
        run.watch("start", {"steps": trainer.length.steps})
        trainer.fit(feeds)
    except BaseException as error:
        # Before the run is taken back, and with it what other processes said last.
        told = out_of_memory(error) if no_memory(error) else engine.explained(error)
        if trainer is None or trainer.step == 0:
            undo()
        if told is not error:
            raise told from error
        raise
    finally:
        for feed in feeds:
            feed.close()
    if trainer.validator is not None and (best := trainer.validator.best()) is not None:
        job.say(f"{run.folder}: {best}")
    run.watch("finish", {"steps": trainer.step})


def refuse_other_data(run: Run, now: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to go on with other data than the run began with.

    Raises:
        CheckpointError: says what data were there.
    """
    for old, new in zip(run.noted().get("data") or (), now, strict=False):
        if old["fingerprint"] != new["fingerprint"]:
            both = [f"{each['name']}, {each['samples']} samples, {each['fingerprint']}" for each in (old, new)]
            raise CheckpointError(
                f"the run began with other data: {both[0]} there, {both[1]} here",
                where=str(run.folder),
                fix="give the --data-root it began with, or choose another --out",
            )


def described(sources: Sequence[Any], noted: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """What a run notes of its data; what it noted before of the same data is not read again."""
    known = {each["fingerprint"]: each for each in noted if "records" in each}
    return [_described(source, known) for source in sources]


def _described(source: Any, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    fingerprint = source.fingerprint()
    about = {"samples": len(source), "fingerprint": fingerprint, "licence": source.licence}
    return {**about, **(known.get(fingerprint) or told(source))}


def texts_of(sources: Sequence[Any], rows: Sequence[Rows]) -> Iterator[str]:
    """All training texts, as the rows may show them."""
    for source, each in zip(sources, rows, strict=True):
        for sample in source:
            yield from each.texts(sample)


def kept_tokenizer(run: Run, recipe: Recipe, texts: Iterable[str], start: Path | None) -> Tokenizer:
    """The run's tokenizer: kept from before, the starting run's, or made now and kept."""
    if not run.has_tokenizer():
        run.keep_tokenizer(Run(start).tokenizer() if start is not None else make_tokenizer(recipe, texts))
    return run.tokenizer(recipe)


def make_tokenizer(recipe: Recipe, texts: Iterable[str]) -> Tokenizer:
    """The tokenizer that a recipe asks for: a package's, a file's, or built from the training texts."""
    wanted, more = recipe.tokenizer, dict[str, Any]()
    if wanted.vocab == "data" and "texts" in schema_of(registry().find("tokenizer", wanted.part)).names:
        more = {"texts": (pre_caption(t, wanted.max_words) if wanted.clean else t for t in texts), "size": wanted.size}
    made: Tokenizer = registry().build("tokenizer", wanted.part, vocab=wanted.vocab, **more, **wanted.options)
    return made


def kept_task(run: Run, recipe: Recipe, sources: Sequence[Any]) -> Task | None:
    """The run's task with what it learned of the data: kept from before, or learned now and kept."""
    if recipe.task is None:
        return None
    task: Task = registry().build("task", recipe.task)
    state = run.task_state()
    if state is not None:
        task.restore(state)
        return task
    task.learn(list(itertools.chain.from_iterable(sources)))
    run.keep_task(task.state())
    return task


def make_trainer(job: Job, run: Run, data: Data, engine: Engine) -> Trainer:
    """The trainer with its model: fresh, started from a run, or where the run was stopped."""
    recipe, device, stopped = job.checked.recipe, engine.device, run.checkpoints()
    torch.manual_seed(recipe.train.seed)
    words, classes = data.tokenizer, len(data.task.classes()) if data.task else 0
    system = build_system(recipe, vocab=words.vocab, special=words.special, classes=classes, words=words.words)
    early = None
    if recipe.teacher is not None and recipe.teacher.start == "fresh":
        # ALBEF's NLVR.py copies the teacher before it loads the weights (docs/quirks.md).
        early = Teacher(system, recipe.teacher.momentum).to(device)
    fresh = still_fresh(job, run, system) if stopped else fill_from(job, run, system)
    sizes = [len(source) for source in data.sources]
    length = length_of(recipe.train, steps_an_epoch(recipe, sizes), samples_a_step(recipe))
    validator = None
    if recipe.validation is not None and job.measure is not None:
        validator = Validator(recipe.validation, run, length, recipe.train.keep, job.measure, job.say)
    trainer = Trainer(
        recipe, run, system.to(device), length, teacher=early, fresh=fresh, validator=validator, engine=engine
    )
    if stopped:
        trainer.restore(replace(stopped[-1], checked=True))  # by `begin`, before the others came so far
        job.say(f"going on from step {trainer.step} of {trainer.length.steps}")
    return trainer


def fill_from(job: Job, run: Run, system: System) -> Sequence[str]:
    """Fill the model from a run and from what the recipe names; keep and say what was filled. Gives what was not."""
    started = start_system(system, Run(job.start) if job.start else None, job.checked.recipe.start)
    if started.sources:
        run.keep_start(started.noted())
    for line in started.lines():
        job.say(f"  {line}")
    return started.fresh


def still_fresh(job: Job, run: Run, system: System) -> Sequence[str]:
    """What was fresh when the run began.

    Raises:
        CheckpointError: it decides how fast weights learn, and is no longer known.
    """
    kept, recipe = run.start_report(), job.checked.recipe
    if kept is not None:
        return kept["fresh"]
    if recipe.train.fresh_factor != 1.0 and (job.start or recipe.start):
        raise CheckpointError(
            "start.json is gone, so it is not known which weights learn by train.fresh_factor",
            where=str(run.folder),
            fix="put the file back, or train anew into another --out",
        )
    return start_system(system).fresh
