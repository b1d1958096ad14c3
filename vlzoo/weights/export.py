"""A trained run made small, to be given away: the weights that are read after training, and a card.

What is written is a run's folder again, so that every command takes it. Teacher, optimiser, queues, logs and
predictions stay behind, and what was measured goes into the card.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlzoo import __version__
from vlzoo.config.schema import Recipe
from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.files import new_folder, sha256_of, writing
from vlzoo.metrics.figures import Score
from vlzoo.models.local_weights import said_nonfinite
from vlzoo.runs.card import WeightsCard
from vlzoo.runs.run import Run
from vlzoo.runs.scores import measurements
from vlzoo.runs.selection import chosen
from vlzoo.weights.trained import trained, training_alone

PRECISIONS = ("fp32", "fp16")
FIGURE = ("task", "protocol", "metric", "value", "interval", "samples", "data")
"""What a card keeps of a figure."""
NOTED = (
    *("recipe", "vlzoo", "commit", "started", "seed", "packages", "plugins", "parts", "parameters", "steps"),
    "nonfinite",
)
"""What is kept of what a run noted of its training: nothing of the machine."""
DATA = ("name", "split", "samples", "fingerprint", "licence")
"""What is kept of its data. Its records are hashed with the folder they lay in, and tell nothing elsewhere."""


@dataclass(frozen=True)
class Export:
    """What is to be exported, and how.

    Attributes:
        run: the run, with what was fine-tuned in it.
        out: the folder to make.
        tasks: the fine-tunings that go along; None: all.
        precision: of the numbers in the file: `fp32`, `fp16`.
        most: bytes that a file of weights may have; None: any.
        licence: of the weights, for the card.
        command: what made them, for the card; empty: what began the run.
    """

    run: Path
    out: Path
    tasks: Sequence[str] | None = None
    precision: str = "fp32"
    most: int | None = None
    licence: str = ""
    command: str = ""


def export(wanted: Export) -> list[WeightsCard]:
    """Write the folder, all of it or nothing; gives the card of the run and those of its fine-tunings.

    Raises:
        CheckpointError: no such run or fine-tuning, `out` holds something, numbers are too large for the precision, or
            a file would have more bytes than it may.
    """
    run = Run(wanted.run)
    run.latest()
    inside = _fine_tuned(run, wanted.tasks)
    if wanted.out.exists() and (not wanted.out.is_dir() or any(wanted.out.iterdir())):
        raise CheckpointError(f"{str(wanted.out)!r} is there already", fix="choose another --out")
    fix = "make room, or choose another --out"
    with writing(wanted.out, "the exported run", CheckpointError, fix), new_folder(wanted.out, flush=True) as folder:
        cards = [_export_one(wanted, run, Run(folder), [task for task, _ in inside])]
        cards += [_export_one(wanted, each, Run(folder).finetuned(task), []) for task, each in inside]
    return cards


def _fine_tuned(run: Run, tasks: Sequence[str] | None) -> list[tuple[str, Run]]:
    """The fine-tunings that go along, by task."""
    there = {each.folder.name: each for each in run.finetunings()}
    for task in tasks or ():
        if task not in there:
            known = ", ".join(there) or "nothing"
            what = f"nothing in {str(run.folder)!r} was fine-tuned for {task!r}"
            raise CheckpointError(what, fix=f"vlzoo finetune {task} --from {run.folder}; there is {known}")
    return [(task, each) for task, each in there.items() if tasks is None or task in tasks]


def _export_one(wanted: Export, run: Run, into: Run, tasks: Sequence[str]) -> WeightsCard:
    kept, _ = chosen(run)
    made = trained(run, kept)
    behind = training_alone(made.system)
    tensors = {name: tensor for name, tensor in kept.tensors("system").items() if name not in behind}
    tensors = _in_precision(tensors, wanted.precision, str(kept.folder))
    about = run.noted()
    told = {**_public(about), "command": _command(wanted, about), "exported_by": __version__}
    into.describe(run.checked(), "exported", told)
    into.keep_tokenizer(made.tokenizer)
    if (state := run.task_state()) is not None:
        into.keep_task(state)
    written = into.save(kept.step, {"system": tensors}, {"step": kept.step, "steps": kept.step, "scaler": {}}, keep=1)
    (file,) = written.files()
    _check_size(file.stat().st_size, wanted, run)
    left = ["teacher, optimizer, log and predictions", *sorted(behind)]
    card = replace(
        _card(wanted, run, made.recipe, about, tasks),
        sha256={file.name: sha256_of(file)},
        parameters=sum(t.numel() for t in tensors.values() if t.is_floating_point()),
        report=(f"left out: {', '.join(left)}",),
    )
    into.keep_card(card)
    return card


def _check_size(size: int, wanted: Export, run: Run) -> None:
    if wanted.most is not None and size > wanted.most:
        what = f"its weights take {size:,} bytes in {wanted.precision}, and {wanted.most:,} are allowed"
        halved = "export it in fp16, or " if wanted.precision == "fp32" else ""
        raise CheckpointError(what, where=str(run.folder), fix=f"{halved}train a smaller model")


def _in_precision(tensors: Mapping[str, Tensor], precision: str, where: str) -> dict[str, Tensor]:
    """The tensors, numbers of single precision in the one asked for.

    Raises:
        CheckpointError: some are too large for it.
        VlzooError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise VlzooError(f"weights are not exported in {precision!r}", fix=f"choose {' or '.join(PRECISIONS)}")
    if precision == "fp32":
        return dict(tensors)
    made = {name: each.half() if each.dtype == torch.float32 else each for name, each in tensors.items()}
    lost = said_nonfinite({name: each for name, each in made.items() if torch.isfinite(tensors[name]).all()})
    if lost:
        raise CheckpointError(f"too large for fp16: {lost}", where=where, fix="export it in fp32")
    return made


def _public(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a run noted, without what says something of the machine alone."""
    data = {name: [_data(each) for each in about.get(name) or ()] for name in ("data", "started_on")}
    return {**{name: about[name] for name in NOTED if name in about}, **data}


def _command(wanted: Export, about: Mapping[str, Any]) -> list[str]:
    return shlex.split(wanted.command) or [str(word) for word in about.get("command") or ()]


def _data(noted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: noted[name] for name in DATA if name in noted}


def _card(wanted: Export, run: Run, recipe: Recipe, about: Mapping[str, Any], tasks: Sequence[str]) -> WeightsCard:
    """All of the card that does not depend on the files written."""
    data = tuple(_data(each) for each in about.get("data") or ())
    before = ", ".join(sorted({str(each["name"]) for each in about.get("started_on") or ()}))
    steps = [f"pre-trained on {before}"] if before else []
    steps += [f"trained by vlzoo {about.get('vlzoo', '')} on {', '.join(str(each['name']) for each in data)}"]
    side = recipe.augment.eval.options.get("size", 0)
    return WeightsCard(
        origin=f"vlzoo, recipe {about.get('recipe', '')}",
        lineage=(*steps, f"exported by vlzoo {__version__} in {wanted.precision}"),
        kind=recipe.task or "pretrain",
        tasks=(recipe.task or "pretrain", *tasks),
        resolution=(side, side),
        licence=wanted.licence or "not stated",
        sha256={},
        parameters=0,
        report=(),
        recipe=str(about.get("recipe", "")),
        seed=recipe.train.seed,
        samples=_shown(recipe, about),
        precision=wanted.precision,
        data=data,
        figures=tuple(_figures(run)),
        made={
            **{name: str(about.get(name) or "") for name in ("vlzoo", "commit")},
            "command": shlex.join(_command(wanted, about)),
        },
    )


def _shown(recipe: Recipe, about: Mapping[str, Any]) -> int:
    """How many samples were shown: as the recipe says, else what its epochs make."""
    if recipe.train.samples:
        return int(recipe.train.samples)
    return int((recipe.train.epochs or 0) * sum(each["samples"] for each in about.get("data") or ()))


def _figures(run: Run) -> list[dict[str, Any]]:
    """What was measured of the checkpoint that is exported, of each protocol the newest."""
    kept, _ = chosen(run)
    weights, found = kept.weights_hash(), dict[tuple[str, str], list[dict[str, Any]]]()
    for each in measurements(run):
        if each.about.get("weights") == weights:
            key = (each.task, each.scores[0].protocol)
            found.setdefault(key, [_figure(score) for score in each.scores])
    return [figure for _, figures in sorted(found.items()) for figure in figures]


def _figure(score: Score) -> dict[str, Any]:
    """A figure as JSON gives it back."""
    between = score.interval and list(score.interval)
    return {**{name: getattr(score, name) for name in FIGURE}, "interval": between}
