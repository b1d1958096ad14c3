"""What measures a run's checkpoints while it is trained, as its recipe's section `validation` says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from vlzoo.bench.engine import load_run
from vlzoo.bench.request import Request, task_of
from vlzoo.bench.run import measure_model
from vlzoo.config.schema import PartRef, Recipe, Validation
from vlzoo.data.held_out import overlap, told
from vlzoo.data.roots import open_source
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, DataError, VlzooError
from vlzoo.processes import here
from vlzoo.runs.run import Run
from vlzoo.step.cost import sketch
from vlzoo.task import Task
from vlzoo.train.validation import Meet


@dataclass
class Measuring:
    """Measures checkpoints of a recipe's run; its data are opened and its options checked before any training.

    Args:
        recipe: the recipe, with a section `validation`.
        root: the data root.
        device: where to measure; None: a GPU where there is one.
        say: told what happens, line by line.

    Raises:
        VlzooError: the task is none that such a run can do, the protocol asks for what no objective of the recipe
            offers, or the data can't be opened.
    """

    recipe: Recipe
    root: str | None = None
    device: torch.device | None = None
    say: Callable[[str], None] = print
    source: Any = field(init=False)
    request: Request = field(init=False)

    def __post_init__(self) -> None:
        wanted = self.recipe.validation or Validation()
        name = wanted.task or self.recipe.task or ""
        task: Task = registry().build("task", name)
        if task.finetuned and self.recipe.task not in (name, task.name):
            what = f"{task.name} must be trained for, and this recipe trains {self.recipe.task or 'for no task'}"
            raise VlzooError(what, where="validation.task", fix="name a task that needs no training: retrieval")
        self.source = open_source(validation_data(self.recipe), self.root)
        self._check_held_out(wanted)
        self.request = Request(
            name, "run:", options=wanted.options, batch=wanted.batch or self.recipe.bench.batch, device=self.device
        )
        check_offers(task_of(self.request, self.recipe.bench), self.recipe)

    def _check_held_out(self, wanted: Validation) -> None:
        """Refuse training data under the name of another split; where `validation.data` names them, they are meant."""
        sources = [open_source(stream.data, self.root) for stream in self.recipe.all_streams]
        found = overlap(self.source, [told(source) for source in sources])
        asked = wanted.data is not None and wanted.data.options
        if found is None or not found.trained or (asked and self.source.name == found.name):
            return
        fix = "name other data: --set validation.data.OPTION=VALUE, a file for instance"
        raise DataError(f"{self.source.name} is trained on: {found}", where="validation.data", fix=fix)

    def __call__(self, run: Run, step: int, meet: Meet) -> Mapping[str, float] | None:
        """The figures of the checkpoint of a step by name, the task's main one first; None where another process leads.

        Several processes share the work. An interrupted measurement goes on where it stopped; predictions are removed
        at its end.
        """
        model = load_run(run.folder, checkpoint=str(step), device=self.device)
        model.say = self.say
        task = task_of(self.request, self.recipe.bench)
        if model.task is not None and model.task.name == task.name:
            task.restore(model.task.state())
        share = here()
        effort = replace(self.request.effort, share=(share.number, share.of))
        request = replace(self.request, model=f"run:{run.folder}", effort=effort)
        scored = measure_model(request, model, task, self.source, run.validation_folder, meet=meet).scored
        if not share.leads:
            return None
        shutil.rmtree(run.validation_folder, ignore_errors=True)
        figures: dict[str, float] = {}
        for score in scored.scores if scored else ():
            figures.setdefault(score.metric, score.value)
        return figures


def check_offers(task: Task, recipe: Recipe) -> None:
    """Refuse options of a task that read what no objective of a recipe lends.

    Raises:
        VlzooError: what they lack.
    """
    try:
        system = sketch(recipe)
    except Exception:
        # A stranger's part may read its numbers while it is built: such a recipe trains, and its first measurement
        # says what is wrong. What else is wrong with the model the training says.
        return
    try:
        task.check_offers(system.offers)
    except CheckpointError as error:
        fix = (error.fix or "").replace("--protocol ", "validation.protocol=")
        what = f"validation by {task.name}/{task.protocol}: {error.what}"
        raise VlzooError(what, where="validation.protocol", fix=fix) from error


def validation_data(recipe: Recipe) -> PartRef:
    """The data that a recipe validates on: what its section names over what it is measured on, in the split `val`.

    Raises:
        VlzooError: no data is named anywhere.
    """
    streams = recipe.all_streams
    base = recipe.bench.data or (streams[0].data if streams else None)
    named = recipe.validation.data if recipe.validation is not None else None
    ref = named if named is not None and named.part else base
    if ref is None:
        raise VlzooError("no data to validate on", where="validation.data", fix="name it: `data: {part: NAME}`")
    splits = "split" in schema_of(registry().find("data", ref.part)).names
    own = {"split": "val"} if splits else {}
    kept = {name: value for name, value in ref.options.items() if name != "split"} if ref is base else ref.options
    return PartRef.model_validate({"part": ref.part, **own, **kept, **(named.options if named is not None else {})})
