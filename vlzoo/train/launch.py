"""From a recipe and a folder to a training run: data, tokenizer, model, feeds."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from vlzoo.bench.engine import read_tokenizer
from vlzoo.bench.task import Task
from vlzoo.config.check import Checked
from vlzoo.config.schema import PartRef, Recipe
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.loader import Order, endless
from vlzoo.data.roots import open_source
from vlzoo.data.tolerance import Tolerance
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, TrainingError, VlzooError
from vlzoo.files import write_text, writing
from vlzoo.models.assemble import System, build_system
from vlzoo.models.precision import default_device
from vlzoo.models.teacher import Teacher
from vlzoo.runs.checkpoint import checkpoints, latest
from vlzoo.runs.run import Run
from vlzoo.text.cleaning import pre_caption
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.text.vocabulary import build_vocab, write_vocab
from vlzoo.train.loop import Feed, Trainer, drawn_streams
from vlzoo.train.schedule import length_of
from vlzoo.weights.start import start_from

logger = logging.getLogger("vlzoo.train")
Say = Callable[[str], None]


def train(
    checked: Checked,
    out: Path,
    *,
    root: str | None = None,
    start: Path | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    say: Say = logger.info,
) -> Run:
    """Train a recipe into a run folder.

    Args:
        checked: the recipe.
        out: the run folder.
        root: the data root.
        start: a run to start from; None: fresh weights.
        resume: go on where an interrupted run stopped.
        device: where to train; None: a GPU where there is one.
        say: told what happens, line by line.

    Raises:
        VlzooError: anything a user can mend.
    """
    recipe = checked.recipe
    sources = _sources(recipe, root)
    _check_batches(recipe, sources)
    new = not out.is_dir() or not any(out.iterdir())
    run = Run.start(out, checked, resume=resume)
    trainer = None
    try:
        trainer, feeds = _made(run, recipe, sources, start, device, say)
        run.watch("start", {"steps": trainer.length.steps})
        trainer.fit(feeds)
    except VlzooError:
        # A mistake that shows before the first update must not leave a run that is in the way of the next try.
        if new and (trainer is None or trainer.step == 0):
            shutil.rmtree(out, ignore_errors=True)
        raise
    run.watch("finish", {"steps": trainer.step})
    return run


def _made(
    run: Run, recipe: Recipe, sources: Sequence[Any], start: Path | None, device: torch.device | None, say: Say
) -> tuple[Trainer, list[Feed]]:
    """The trainer, where it stopped or at the start, and its feeds."""
    _same_data(run, sources)
    tokenizer = _tokenizer(run, recipe, sources, start)
    task = _task(run, recipe, sources)
    torch.manual_seed(recipe.train.seed)
    classes = len(task.classes()) if task else 0
    system = build_system(
        recipe, vocab=tokenizer.vocab, special=tokenizer.special, classes=classes, words=tokenizer.words
    )
    chosen = device or default_device()
    stopped = checkpoints(run.folder)
    early = None
    if recipe.teacher is not None and recipe.teacher.start == "fresh":
        # ALBEF's NLVR.py copies the teacher before it loads the weights (docs/quirks.md).
        early = Teacher(system, recipe.teacher.momentum).to(chosen)
    if start is not None and not stopped:
        _begin(system, start, say)
    trainer = _trainer(recipe, run, system.to(chosen), sources, chosen, early)
    if stopped:
        trainer.restore(stopped[-1])
        say(f"going on from step {trainer.step} of {trainer.length.steps}")
    run.rewind(trainer.step)
    run.note(parameters=sum(p.numel() for p in system.parameters()), data=_described(sources))
    return trainer, _feeds(recipe, sources, system, tokenizer, task, trainer.step, run.folder / "unreadable.jsonl")


def _same_data(run: Run, sources: Sequence[Any]) -> None:
    """Refuse to go on with other data than the run began with."""
    before, now = run.noted().get("data"), _described(sources)
    for old, new in zip(before or (), now, strict=False):
        if old["fingerprint"] != new["fingerprint"]:
            told = [f"{each['name']}, {each['samples']} samples, {each['fingerprint']}" for each in (old, new)]
            raise CheckpointError(
                f"the run began with other data: {told[0]} there, {told[1]} here",
                where=str(run.folder),
                fix="give the --data-root it began with, or choose another --out",
            )


def _sources(recipe: Recipe, root: str | None) -> list[Any]:
    if not recipe.all_streams:
        raise TrainingError("the recipe names no data", fix="add `data:` or `streams:`, or --set data.part=NAME")
    return [open_source(stream.data, root) for stream in recipe.all_streams]


def _check_batches(recipe: Recipe, sources: Sequence[Any]) -> None:
    # Before the folder is made: a mistake must leave nothing behind.
    for stream, source in zip(recipe.all_streams, sources, strict=True):
        Order(len(source), stream.batch or recipe.train.batch, recipe.train.seed)


def _trainer(
    recipe: Recipe,
    run: Run,
    system: System,
    sources: Sequence[Any],
    device: torch.device,
    teacher: Teacher | None,
) -> Trainer:
    per_epoch = max(1, len(sources[-1]) // recipe.train.batch)
    return Trainer(recipe, run, system, length_of(recipe.train, per_epoch), device=device, teacher=teacher)


def _tokenizer(run: Run, recipe: Recipe, sources: Sequence[Any], start: Path | None) -> Tokenizer:
    """The run's tokenizer: kept from before, the starting run's, or made now and kept."""
    kept = run.folder / "tokenizer" / "vocab.txt"
    if not kept.is_file():
        if start is not None:
            write_vocab(read_tokenizer(start, Run(start).recipe()).words, kept)
        else:
            write_vocab(_words(recipe, sources), kept)
    return read_tokenizer(run.folder, recipe)


def _words(recipe: Recipe, sources: Sequence[Any]) -> Sequence[str]:
    wanted = recipe.tokenizer
    if wanted.vocab.startswith("package:"):
        return Tokenizer.from_package(wanted.vocab.removeprefix("package:")).words
    if wanted.vocab != "data":
        return Tokenizer.from_file(wanted.vocab).words
    texts = (text for source in sources for sample in source for text in (*sample.texts, *sample.answers))
    return build_vocab((pre_caption(text, wanted.max_words) for text in texts), size=wanted.size, characters=True)


def _task(run: Run, recipe: Recipe, sources: Sequence[Any]) -> Task | None:
    if recipe.task is None:
        return None
    task: Task = registry().build("task", recipe.task)
    file = run.folder / "task.json"
    if file.is_file():
        task.restore(json.loads(file.read_text(encoding="utf-8")))
        return task
    task.learn(list(itertools.chain.from_iterable(sources)))
    with writing(file, "what the task learned of the data", TrainingError):
        write_text(file, json.dumps(task.state(), indent=1))
    return task


def _begin(system: System, start: Path, say: Say) -> None:
    """Fill the model from a run, and keep no silence about what was not filled."""
    report = start_from(system, latest(start).tensors("system"))
    for line in report.lines():
        say(f"  {line}")


def _feeds(
    recipe: Recipe,
    sources: Sequence[Any],
    system: System,
    tokenizer: Tokenizer,
    task: Task | None,
    step: int,
    listing: Path,
) -> list[Feed]:
    feeds = []
    drawn = drawn_streams(recipe.train.seed, {s.name: s.probability for s in recipe.all_streams}, 0, step)
    for stream, source in zip(recipe.all_streams, sources, strict=True):
        batch = stream.batch or recipe.train.batch
        # A stream that is not drawn at every step is behind the step's number.
        order = Order(len(source), batch, recipe.train.seed, start=int(drawn[stream.name].sum()))
        reader = _reader(stream.augment or recipe.augment.train, source, recipe, listing)
        collator = Collator(tokenizer, max_words=recipe.tokenizer.max_words, add=task.fields if task else None)
        known = system.named_objectives()
        chosen = {name: known[name] for name in (stream.objectives or known)}
        batches = endless(reader, collator, order, workers=recipe.train.workers)
        feeds.append(Feed(stream.name, batches, chosen, stream.probability, reader.augmentation, system.token_mask))
    return feeds


def _reader(ref: PartRef, source: Any, recipe: Recipe, listing: Path) -> Reader:
    augmentation = registry().build("augmentation", ref.part, **ref.options)
    share = float(getattr(source, "allowed_faults", 0.01))
    tolerance = Tolerance(len(source), share, recipe.train.workers, str(listing))
    return Reader(source, augmentation, int(getattr(augmentation, "size", 256)), recipe.train.seed, tolerance)


def _described(sources: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {"name": source.name, "samples": len(source), "fingerprint": source.fingerprint(), "licence": source.licence}
        for source in sources
    ]
