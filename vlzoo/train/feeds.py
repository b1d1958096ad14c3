"""A recipe's streams made ready: rows, augmentation, plan, and batches from where the run stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import ceil
from typing import Any

from vlzoo.config.schema import ObjectiveRef, Recipe, Stream
from vlzoo.config.sides import refused, sides_read
from vlzoo.data.blocks import blocks_of
from vlzoo.data.build import require_samples
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.features import features_of
from vlzoo.data.loader import Order, endless
from vlzoo.data.roots import open_source
from vlzoo.data.tolerance import Tolerance
from vlzoo.data_parts import Augmentation, Rows, Side
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import TrainingError
from vlzoo.interfaces import Objective
from vlzoo.models.given import check_pictures, check_reach
from vlzoo.models.guarded import learn
from vlzoo.processes import Share
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.task import Task
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.train.feed import Choose, Feed
from vlzoo.train.loop import Trainer
from vlzoo.train.streams import batch_sizes, chances, drawn_streams, stream_seed


@dataclass(frozen=True)
class Data:
    """A run's data, and what was learned of it before the first update.

    Attributes:
        sources: one for each stream.
        rows: what makes rows of each.
        tokenizer: of the words that the run keeps.
        task: with what it learned; None for pre-training.
    """

    sources: Sequence[Any]
    rows: Sequence[Rows]
    tokenizer: Tokenizer
    task: Task | None


def rows_of(recipe: Recipe, stream: Stream) -> Rows:
    """What makes rows of a stream's samples."""
    ref = stream.rows or recipe.rows
    made: Rows = registry().build("rows", ref.part, **ref.options)
    return made


def open_sources(recipe: Recipe, root: str | None) -> list[Any]:
    """The data of every stream.

    Raises:
        TrainingError: the recipe names none.
        DataError: it can't be read.
    """
    if not recipe.all_streams:
        raise TrainingError("the recipe names no data", fix="add `data:` or `streams:`, or --set data.part=NAME")
    return [open_source(stream.data, root) for stream in recipe.all_streams]


def check_batches(recipe: Recipe, sources: Sequence[Any], share: Share) -> None:
    """Refuse batches that the data can't fill, before the folder is made: a mistake must leave nothing behind.

    Raises:
        DataError: data that hold no sample.
        TrainingError: a batch is larger than its data, of several streams names which; or has fewer rows than parts.
    """
    for source in sources:
        require_samples(source)
    sizes = batch_sizes(recipe)
    for (name, batch), source in zip(sizes.items(), sources, strict=True):
        if len(source) < batch and len(sizes) > 1:
            what = f"a batch of {batch} is larger than the data of stream {name!r}: {len(source)} samples"
            raise TrainingError(what, fix=f"set the stream's `batch` to {max(len(source), 1)} or less")
        Order(len(source), batch, recipe.train.seed, share=share)
        if recipe.train.negatives == "local" and batch < 2 * share.of:
            what = f"with negatives: local each of {share.of} processes needs two rows, and a batch has {batch}"
            raise TrainingError(
                what, fix=f"set train.batch (or the stream's) to {2 * share.of} or more, or start fewer"
            )
        parts, least = recipe.train.accumulate, batch // share.of
        if parts > least:
            each = f" {least} samples of a process" if share.of > 1 else ""
            what = f"{parts} parts (train.accumulate) can't be made of{each or f' a batch of {batch}'}"
            raise TrainingError(what, fix=f"set train.accumulate to {least} or less")


def check_sides(recipe: Recipe, sources: Sequence[Any], rows: Sequence[Rows]) -> None:
    """Refuse data that lack what an objective reads, before the folder is made.

    Raises:
        TrainingError: names the stream, the objective, and what the data lack.
    """
    for stream, source, each in zip(recipe.all_streams, sources, rows, strict=True):
        for name in stream.objectives or recipe.active:
            ref = recipe.active[name]
            needs = getattr(registry().find("objective", ref.part or name).load(), "needs", ())
            _refuse(name, sides_read(needs), stream, source, each)


def check_inputs(recipe: Recipe, sources: Sequence[Any]) -> None:
    """Refuse pictures without region features where the image encoder reads these, before the folder is made.

    Raises:
        VlzooError: the first picture of a source has none.
    """
    ref = recipe.model.image_encoder
    if ref is None or getattr(registry().find("image_encoder", ref.part).load(), "input", "image") != "regions":
        return
    for source in sources:
        for image in source[0].images[:1] if len(source) else ():
            features_of(image)


def region_width(recipe: Recipe) -> int | None:
    """The width of the region features that the image encoder reads; None: it reads none, or does not say."""
    ref = recipe.model.image_encoder
    if ref is None:
        return None
    part = registry().find("image_encoder", ref.part)
    schema = schema_of(part)
    if schema.facts.get("input") != "regions" or "features" not in schema.names:
        return None
    usual = next(option.default for option in schema.options if option.name == "features")
    return int(ref.options.get("features", usual) or 0) or None


def make_feeds(run: Run, data: Data, trainer: Trainer) -> list[Feed]:
    """Every stream with its batches, from where the trainer stands.

    Raises:
        VlzooError: what the objectives of a stream ask for does not fit together, or its data lack it.
    """
    recipe, sizes, share = trainer.recipe, batch_sizes(trainer.recipe), trainer.engine.share
    drawn = drawn_streams(recipe.train, chances(recipe), 0, trainer.step)
    known, feeds = trainer.system.named_objectives(), []
    learn(known, _samples(recipe, data.sources, known), data.tokenizer)
    for stream, source, whole in zip(recipe.all_streams, data.sources, data.rows, strict=True):
        rows = whole.cut(share)
        reader = make_reader(run, recipe, stream, source, rows, share)
        reader.input = trainer.system.model.image_encoder.input
        check_pictures(reader.augmentation, trainer.system.model.image_encoder)
        check_reach(rows, data.tokenizer.max_length, trainer.system.model)
        chosen = {name: known[name] for name in (stream.objectives or known)}
        _check_planned(chosen, stream, source, rows)
        planned = partial(_planned, trainer, rows, source, reader.augmentation, chosen)
        plan = planned(chosen)
        # A stream that is not drawn at every step is behind the step's number.
        start, blocks = int(drawn[stream.name].sum()), partial(blocks_of, source)
        order = Order(len(source), sizes[stream.name], reader.seed, start, share, blocks)
        alone = len(sizes) == 1
        collator = Collator(
            data.tokenizer,
            rows,
            max_words=recipe.tokenizer.max_words,
            cleans=recipe.tokenizer.clean,
            add=data.task.fields if data.task else None,
            maskings=plan.maskings,
            seed=recipe.train.seed,
            stream="" if alone else stream.name,
        )
        batches = endless(reader, collator, order, workers=recipe.train.workers)
        begins = _first_steps(recipe.active, chosen, trainer.length.steps)
        chooses = stream.choose is not None or begins
        choose = Choose(stream.choose, chosen, planned, stream=stream.name, begins=begins) if chooses else None
        feeds.append(Feed(stream.name, batches, chosen, plan, stream.probability, sizes[stream.name], alone, choose))
    return feeds


def _first_steps(refs: Mapping[str, ObjectiveRef], chosen: Collection[str], steps: int) -> dict[str, int]:
    """The first step of each objective that does not begin at once: its share of the run, rounded up."""
    return {name: ceil(refs[name].begins * steps) for name in chosen if refs[name].begins}


def _samples(recipe: Recipe, sources: Sequence[Any], known: Collection[str]) -> dict[str, Iterable[Any]]:
    """For each objective the samples of the streams that it takes part in."""
    streams = list(zip(recipe.all_streams, sources, strict=True))
    return {
        name: chain.from_iterable(source for stream, source in streams if name in (stream.objectives or known))
        for name in known
    }


def _planned(
    trainer: Trainer,
    rows: Rows,
    source: Any,
    augmentation: Augmentation,
    all_of_them: Mapping[str, Objective],
    taken: Mapping[str, Objective],
) -> Plan:
    """What some objectives of a stream ask for, with what all of them lend."""
    plan = Plan()
    rows.plan(plan, source.pairing)
    plan.gather(taken, augmentation=augmentation, token_mask=trainer.system.token_mask, lent=all_of_them)
    plan.joins_passes &= trainer.engine.joins_passes
    return plan


def make_reader(run: Run, recipe: Recipe, stream: Stream, source: Any, rows: Rows, processes: Share) -> Reader:
    """What reads and augments a stream's samples in the data workers."""
    ref = stream.augment or recipe.augment.train
    augmentation: Augmentation = registry().build("augmentation", ref.part, **ref.options)
    share = float(getattr(source, "allowed_faults", 0.01))
    workers = max(1, recipe.train.workers) * processes.of
    tolerance = Tolerance(len(source), share, workers, str(run.unreadable))
    return Reader(source, augmentation, rows, stream_seed(recipe, stream.name), tolerance)


def _check_planned(objectives: Mapping[str, Objective], stream: Stream, source: Any, rows: Rows) -> None:
    """Refuse data that lack what an objective asked a step for: masked words, pairs that do not belong together."""
    for name, objective in objectives.items():
        plan = Plan()
        rows.plan(plan, source.pairing)
        objective.plan(plan)
        read: set[Side] = {"text"} if plan.maskings else set()
        mined = any(key.pairs != "positive" for key, _ in plan.passes())
        _refuse(name, read | ({"image", "text"} if mined else set()), stream, source, rows)


def _refuse(objective: str, read: frozenset[Side] | set[Side], stream: Stream, source: Any, rows: Rows) -> None:
    held = rows.sides(source.pairing)
    if not read <= held:
        what, fix = refused(objective, read, stream.name, f"{source.name} (pairing: {source.pairing})", held)
        raise TrainingError(what, fix=fix)
