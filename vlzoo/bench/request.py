"""What is to be measured: a model, a task with its options, data; each checked before work begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vlzoo.bench.model import BenchModel, ModelFamily, family_of
from vlzoo.config.schema import Bench, PartRef, Recipe
from vlzoo.data.roots import open_source
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.models.precision import default_device
from vlzoo.task import Effort, Task


@dataclass(frozen=True)
class Request:
    """One task to measure.

    Attributes:
        task: its registered name.
        model: `run:FOLDER`, `hf:FOLDER`, or of another registered family.
        out: where predictions go; None: where the family keeps them.
        options: of the task, in place of the recipe's.
        data: a data source in place of the recipe's.
        split: the split; None: the recipe's `bench` split, `test`.
        root: the data root.
        batch: rows of a forward pass; None: as the recipe says.
        effort: what predicting may take besides.
        precision: of the forward passes.
        device: where; None: a GPU where there is one.
        allow_missing: samples whose picture is missing count as wrong.
        submits: the answers go to the task's server: data without public answers are not scored, and that is said.
        keep_features: leave the features of pictures and texts on disk.
        checkpoint: `last`, `best` or a step of a run; empty: the best where validation found one, else the last.
    """

    task: str
    model: str
    out: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    data: PartRef | None = None
    split: str | None = None
    root: str | None = None
    batch: int | None = None
    effort: Effort = field(default_factory=Effort)
    precision: str = "fp32"
    device: torch.device | None = None
    allow_missing: bool = False
    keep_features: bool = False
    submits: bool = False
    checkpoint: str = ""


def check_request(request: Request) -> None:
    """Whether a task can be measured on a model; quick, so that several tasks are checked before the first is run.

    Raises:
        VlzooError: no such task, option or model, nothing was trained for the task, or what the task reads of its
            training data is not there.
    """
    family, place = _family_of(request)
    task: Task = registry().build("task", request.task)
    family.check(place, task)
    if request.submits and type(task).submission is Task.submission:
        task.submission(None, {})  # says that there is no server, before any work
    task = task_of(request, family.bench(place, task))
    learned = family.learned(place, task)
    if learned is not None:
        task.restore(learned)
        task.check_learned()


def opened(request: Request) -> tuple[BenchModel, Task, Path]:
    """The model ready to measure, the task with its options and what it learned, and the folder for predictions."""
    family, place = _family_of(request)
    task = task_of(request, family.bench(place, registry().build("task", request.task)))
    model = family.open(place, task, precision=request.precision, device=request.device or default_device())
    if model.task is not None and model.task.name == task.name:
        task.restore(model.task.state())
        task.check_learned()
    return model, task, request.out or family.folder(place, task)


def _family_of(request: Request) -> tuple[ModelFamily, str]:
    """The family of the model, opening the checkpoint that is asked for, and the model's place."""
    family, place = family_of(request.model)
    if request.checkpoint:
        family.choose(request.checkpoint)
    return family, place


def task_of(request: Request, bench: Bench | None) -> Task:
    """The task with its options: those asked for, else the recipe's, else its own defaults.

    Raises:
        UnknownName: no such option, protocol or mode.
    """
    part = registry().find("task", request.task)
    kept = bench.options_of((part.name, part.qualified), schema_of(part).names) if bench is not None else {}
    task: Task = registry().build("task", request.task, **{**kept, **request.options})
    return task


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
