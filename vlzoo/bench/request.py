"""What is to be measured: the run or foreign model, the data, and the settings, each checked before work begins."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vlzoo.bench.engine import Engine, load_run
from vlzoo.bench.task import Settings, Task
from vlzoo.config.schema import Bench, PartRef, Recipe
from vlzoo.data.roots import open_source
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, UnknownName, VlzooError, did_you_mean
from vlzoo.runs.run import Run

FOREIGN = "hf:"
"""How a model of transformers in a local folder is named: `hf:FOLDER`."""


@dataclass(frozen=True)
class Wishes:
    """Settings asked for on the command line; None: as the recipe says."""

    protocol: str = ""
    k: int | None = None
    batch: int | None = None
    mode: str = ""
    beams: int = 1
    memory: int = Settings.memory
    share: tuple[int, int] = (0, 1)
    proposals: Path | None = None
    allow_missing: bool = False
    keep_features: bool = False


@dataclass(frozen=True)
class Request:
    """One task to measure.

    Attributes:
        task: its registered name.
        run: the run folder; for a foreign model the folder that predictions go to.
        data: a data source in place of the recipe's.
        split: the split; None: the recipe's `bench` split, `test`.
        root: the data root.
        wishes: what replaces the recipe's settings.
        precision: of the forward passes.
        device: where; None: a GPU where there is one.
        model: `hf:FOLDER` for a model of transformers; None: the run's.
    """

    task: str
    run: Path
    data: PartRef | None = None
    split: str | None = None
    root: str | None = None
    wishes: Wishes = Wishes()
    precision: str = "fp32"
    device: torch.device | None = None
    model: str | None = None


def check_request(request: Request) -> None:
    """Whether a task can be measured on a run; quick, so that several tasks are checked before the first is run.

    Raises:
        VlzooError: no such task or protocol, no such run, or nothing was trained for the task.
    """
    task: Task = registry().build("task", request.task)
    if request.model is not None:
        foreign_folder(request.model)
        settings_of(request, task, Bench())
        return
    folder = find_run(request.run, task)
    run = Run(folder)
    run.latest()
    settings_of(request, task, run.recipe().bench)


def opened(request: Request) -> tuple[Engine, Task, Path]:
    """The model ready to measure, the task with what it learned, and the folder that predictions go to."""
    task: Task = registry().build("task", request.task)
    if request.model is not None:
        from vlzoo.bench.hf.load import load_foreign

        folder = foreign_folder(request.model)
        return load_foreign(folder, precision=request.precision, device=request.device), task, request.run
    folder = find_run(request.run, task)
    engine = load_run(folder, precision=request.precision, device=request.device)
    own = engine.task if engine.task is not None and engine.task.name == task.name else task
    return engine, own, folder


def foreign_folder(model: str) -> Path:
    """The folder that `hf:FOLDER` names.

    Raises:
        CheckpointError: it names none, or one that is no model of transformers.
    """
    folder = Path(model.removeprefix(FOREIGN)).expanduser()
    if not model.startswith(FOREIGN):
        raise CheckpointError(f"{model!r} names no model", fix="write hf:FOLDER, or --run RUN for a run of vlzoo")
    if not (folder / "config.json").is_file():
        what = "has no config.json" if folder.is_dir() else "does not exist"
        raise CheckpointError(
            f"{str(folder)!r} {what}", where=model, fix="give a folder that `save_pretrained` of transformers wrote"
        )
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"not JSON: {error}", where=str(folder / "config.json")) from None
    return folder


def find_run(run: Path, task: Task) -> Path:
    """The run that a task is measured on: `run` itself, or what was fine-tuned for the task inside it.

    Raises:
        CheckpointError: nothing was trained for the task.
    """
    recipe = Run(run).recipe()
    inside = Run(run).finetuned(task.name).folder
    if recipe.task == task.name:
        return run
    if inside.is_dir():
        return inside
    if not task.finetuned and recipe.task in (None, "retrieval"):
        return run
    trained = f"was fine-tuned for {recipe.task}" if recipe.task else "is a pre-trained run"
    raise CheckpointError(
        f"{str(run)!r} {trained}; nothing in it was trained for {task.name}",
        fix=f"vlzoo finetune {task.name} --from {run}",
    )


def settings_of(request: Request, task: Task, kept: Bench) -> Settings:
    """The settings of a bench: what was asked for, else the recipe's.

    Raises:
        UnknownName: no such protocol or mode.
    """
    asked = request.wishes
    protocol = asked.protocol.removeprefix(f"{task.name}/") or task.protocols[0]
    if protocol not in task.protocols:
        fix = did_you_mean(protocol, task.protocols, what="protocols")
        raise UnknownName(f"{task.name} has no protocol {asked.protocol!r}", fix=fix)
    if asked.mode and asked.mode not in task.modes:
        raise UnknownName(
            f"{task.name} has no mode {asked.mode!r}", fix=did_you_mean(asked.mode, task.modes, what="modes")
        )
    return Settings(
        protocol,
        asked.k or kept.k,
        asked.batch or kept.batch,
        kept.answers,
        asked.mode,
        asked.beams,
        asked.memory,
        asked.share,
        proposals=asked.proposals,
    )


def source_of(request: Request, recipe: Recipe | None) -> Any:
    """The data to measure on: what was asked for, else the recipe's, in its test split.

    Raises:
        VlzooError: no data is named, or it can't be opened.
    """
    own = recipe or Recipe()
    ref = request.data or own.bench.data or (own.all_streams[0].data if own.all_streams else None)
    if ref is None:
        raise UnknownName("no data to measure on", fix="give --data NAME")
    has_splits = "split" in schema_of(registry().find("data", ref.part)).names
    usual = "test" if has_splits and (request.data is not None or own.bench.data is None) else None
    return open_source(ref, request.root, split=request.split or usual)


def absent_pictures(source: Any) -> dict[str, str]:
    """Samples with a picture file that is not there: name -> the file."""
    from vlzoo.data.images import FileImage

    found = {}
    for row in range(len(source)):
        try:
            sample = source[row]
        except VlzooError:
            continue
        for image in sample.images:
            if isinstance(image, FileImage) and not Path(image.name).is_file():
                found[sample.name] = image.name
    return found
