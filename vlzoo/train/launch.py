"""From a recipe and a folder to a training run: data, tokenizer, model, feeds."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vlzoo.config.check import Checked
from vlzoo.config.schema import PartRef, Recipe, Stream
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.loader import Order, endless
from vlzoo.data.roots import open_source
from vlzoo.data.tolerance import Tolerance
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, TrainingError, VlzooError
from vlzoo.models.assemble import System, build_system
from vlzoo.models.precision import default_device
from vlzoo.models.teacher import Teacher
from vlzoo.runs.run import Run
from vlzoo.task import Task
from vlzoo.text.cleaning import pre_caption
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.train.loop import Feed, Trainer, drawn_streams
from vlzoo.train.schedule import length_of
from vlzoo.weights.start import start_from

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
        device: where to train; None: a GPU where there is one.
        say: told what happens, line by line.
    """

    checked: Checked
    out: Path
    root: str | None = None
    start: Path | None = None
    resume: bool = False
    device: torch.device | None = None
    say: Callable[[str], None] = logger.info


@dataclass(frozen=True)
class Data:
    """A run's data, and what was learned of it before the first update.

    Attributes:
        sources: one for each stream.
        tokenizer: of the words that the run keeps.
        task: with what it learned; None for pre-training.
    """

    sources: Sequence[Any]
    tokenizer: Tokenizer
    task: Task | None


def train(job: Job) -> Run:
    """Train a recipe into a run folder.

    Raises:
        VlzooError: anything a user can mend.
    """
    recipe = job.checked.recipe
    sources = open_sources(recipe, job.root)
    check_batches(recipe, sources)
    new = not job.out.is_dir() or not any(job.out.iterdir())
    run = Run.start(job.out, job.checked, resume=job.resume)
    trainer = None
    try:
        about = described(sources)
        refuse_other_data(run, about)
        data = Data(sources, kept_tokenizer(run, recipe, sources, job.start), kept_task(run, recipe, sources))
        trainer = make_trainer(job, run, data)
        run.rewind(trainer.step)
        parameters = sum(p.numel() for p in trainer.system.parameters())
        run.note(parameters=parameters, data=about)
        feeds = make_feeds(run, data, trainer)
        run.watch("start", {"steps": trainer.length.steps})
        trainer.fit(feeds)
    except VlzooError:
        # A mistake that shows before the first update must not leave a run that is in the way of the next try.
        if new and (trainer is None or trainer.step == 0):
            run.remove()
        raise
    run.watch("finish", {"steps": trainer.step})
    return run


def open_sources(recipe: Recipe, root: str | None) -> list[Any]:
    """The data of every stream.

    Raises:
        TrainingError: the recipe names none.
        DataError: it can't be read.
    """
    if not recipe.all_streams:
        raise TrainingError("the recipe names no data", fix="add `data:` or `streams:`, or --set data.part=NAME")
    return [open_source(stream.data, root) for stream in recipe.all_streams]


def check_batches(recipe: Recipe, sources: Sequence[Any]) -> None:
    """Refuse batches that the data can't fill, before the folder is made: a mistake must leave nothing behind."""
    for stream, source in zip(recipe.all_streams, sources, strict=True):
        Order(len(source), stream.batch or recipe.train.batch, recipe.train.seed)


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


def described(sources: Sequence[Any]) -> list[dict[str, Any]]:
    """What a run notes of its data."""
    return [
        {"name": source.name, "samples": len(source), "fingerprint": source.fingerprint(), "licence": source.licence}
        for source in sources
    ]


def kept_tokenizer(run: Run, recipe: Recipe, sources: Sequence[Any], start: Path | None) -> Tokenizer:
    """The run's tokenizer: kept from before, the starting run's, or made now and kept."""
    if not run.has_tokenizer():
        run.keep_tokenizer(Run(start).tokenizer() if start is not None else make_tokenizer(recipe, sources))
    return run.tokenizer(recipe)


def make_tokenizer(recipe: Recipe, sources: Sequence[Any]) -> Tokenizer:
    """The tokenizer that a recipe asks for: a package's, a file's, or built from the training texts."""
    wanted, corpus = recipe.tokenizer, {}
    if wanted.vocab == "data" and "texts" in schema_of(registry().find("tokenizer", wanted.part)).names:
        texts = (text for source in sources for sample in source for text in (*sample.texts, *sample.answers))
        corpus = {"texts": (pre_caption(text, wanted.max_words) for text in texts), "size": wanted.size}
    made: Tokenizer = registry().build("tokenizer", wanted.part, vocab=wanted.vocab, **corpus, **wanted.options)
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


def make_trainer(job: Job, run: Run, data: Data) -> Trainer:
    """The trainer with its model: fresh, started from a run, or where the run was stopped."""
    recipe, device, stopped = job.checked.recipe, job.device or default_device(), run.checkpoints()
    torch.manual_seed(recipe.train.seed)
    words = data.tokenizer
    classes = len(data.task.classes()) if data.task else 0
    system = build_system(recipe, vocab=words.vocab, special=words.special, classes=classes, words=words.words)
    early = None
    if recipe.teacher is not None and recipe.teacher.start == "fresh":
        # ALBEF's NLVR.py copies the teacher before it loads the weights (docs/quirks.md).
        early = Teacher(system, recipe.teacher.momentum).to(device)
    if job.start is not None and not stopped:
        fill_from(system, Run(job.start), job.say)
    per_epoch = max(1, len(data.sources[-1]) // recipe.train.batch)
    length = length_of(recipe.train, per_epoch)
    trainer = Trainer(recipe, run, system.to(device), length, device=device, teacher=early)
    if stopped:
        trainer.restore(stopped[-1])
        job.say(f"going on from step {trainer.step} of {trainer.length.steps}")
    return trainer


def fill_from(system: System, run: Run, say: Callable[[str], None]) -> None:
    """Fill the model from a run, and keep no silence about what was not filled."""
    for line in start_from(system, run.latest().tensors("system")).summary():
        say(f"  {line}")


def make_feeds(run: Run, data: Data, trainer: Trainer) -> list[Feed]:
    """Every stream with its batches, from where the trainer stands."""
    recipe = trainer.recipe
    chances = {stream.name: stream.probability for stream in recipe.all_streams}
    drawn = drawn_streams(recipe.train.seed, chances, 0, trainer.step)
    add = data.task.fields if data.task else None
    collator = Collator(data.tokenizer, max_words=recipe.tokenizer.max_words, add=add)
    known, token_mask = trainer.system.named_objectives(), trainer.system.token_mask
    feeds = []
    for stream, source in zip(recipe.all_streams, data.sources, strict=True):
        reader = make_reader(run, recipe, stream, source)
        # A stream that is not drawn at every step is behind the step's number.
        behind = int(drawn[stream.name].sum())
        order = Order(len(source), stream.batch or recipe.train.batch, recipe.train.seed, start=behind)
        batches = endless(reader, collator, order, workers=recipe.train.workers)
        chosen = {name: known[name] for name in (stream.objectives or known)}
        feeds.append(Feed(stream.name, batches, chosen, stream.probability, reader.augmentation, token_mask))
    return feeds


def make_reader(run: Run, recipe: Recipe, stream: Stream, source: Any) -> Reader:
    """What reads and augments a stream's samples in the data workers."""
    ref: PartRef = stream.augment or recipe.augment.train
    augmentation = registry().build("augmentation", ref.part, **ref.options)
    share = float(getattr(source, "allowed_faults", 0.01))
    tolerance = Tolerance(len(source), share, recipe.train.workers, str(run.unreadable))
    return Reader(source, augmentation, int(getattr(augmentation, "size", 256)), recipe.train.seed, tolerance)
