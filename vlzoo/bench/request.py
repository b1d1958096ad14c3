"""What is to be measured: a model, a task with its options, data; each checked before work begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vlzoo.bench.model import BenchModel, ModelFamily, family_of
from vlzoo.config.schema import Bench, PartRef, Recipe
from vlzoo.data.held_out import Overlap, overlap, split_of
from vlzoo.data.roots import given_options, open_source
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError, UnknownName, VlzooError
from vlzoo.files import check_place
from vlzoo.models.precision import default_device
from vlzoo.task import Effort, Task


@dataclass(frozen=True)
class Request:
    """One task to measure.

    Attributes:
        task: its registered name.
        model: `run:FOLDER`, `hf:FOLDER`, or of another registered family.
        out: where predictions and figures go; None: where the family keeps them, of a run in its folder.
        options: of the task, in place of the recipe's.
        data: a data source in place of the recipe's.
        data_options: options of the data source in place of its own, as a command line writes them.
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
        allow_train_data: measure data that the model was trained on, and say so beside the figures.
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
    data_options: Mapping[str, str] = field(default_factory=dict)
    allow_train_data: bool = False


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
    out = request.out or family.folder(place, task)
    fix = "give another --out" if request.out else "give --out DIR, where predictions and figures may lie"
    check_place(out, "predictions", folder=True, fix=fix)


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


def data_of(request: Request, recipe: Recipe | None) -> PartRef:
    """The data to measure on with all that they are opened with: what was asked for, else the recipe's test split.

    Raises:
        VlzooError: no data is named, or an option does not fit.
    """
    own = recipe or Recipe()
    ref = request.data or own.bench.data or (own.all_streams[0].data if own.all_streams else None)
    if ref is None:
        raise UnknownName("no data to measure on", fix="give --data NAME")
    has_splits = "split" in schema_of(registry().find("data", ref.part)).names
    usual = "test" if has_splits and (request.data is not None or own.bench.data is None) else None
    given = given_options(ref.part, request.data_options)
    split = request.split or given.pop("split", usual)
    return PartRef.model_validate({**ref.model_dump(), **given, **({"split": split} if split else {})})


def source_of(data: PartRef, root: str | None) -> Any:
    """The data to measure on, opened.

    Args:
        data: as `data_of` names them.
        root: the data root.

    Raises:
        VlzooError: they can't be opened, or are empty.
    """
    source = open_source(data, root)
    if not len(source):
        raise DataError("it holds no sample", where=source.name, fix="give another --data, --split or --data-root")
    return source


def check_held_out(request: Request, source: Any, model: BenchModel) -> Overlap | None:
    """How much of some data the model was trained on; None where nothing is known to be.

    Data that it was trained on are measured where they are asked for by the split that was trained on, or where the
    request allows them.

    Raises:
        DataError: most of the data is training data, and that was not asked for.
    """
    found = overlap(source, model.trained_on)
    if found is None:
        return None
    own = (model.recipe or Recipe()).bench.data
    named = request.data is not None or request.split is not None or bool(request.data_options) or own is not None
    honest = named and (source.name, split_of(source)) == (found.name, found.split)
    if not found.trained or honest or request.allow_train_data:
        return found
    what = f"{split_of(source) or 'these'} data are what the run was trained on: {found}"
    fix = (
        "name other data by --data, --split, or --set data.OPTION=VALUE (a file that the recipe names is read whatever "
    )
    fix += "the split); --allow-train-data measures them all the same, and says so"
    raise DataError(what, where=source.name, fix=fix)


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
