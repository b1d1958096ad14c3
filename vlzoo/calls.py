"""Training and measuring as calls from Python: what the commands of these names do, with values for an answer."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vlzoo.bench.model import reference_of
from vlzoo.bench.request import Request, check_request
from vlzoo.bench.run import bench
from vlzoo.bench.validate import Measuring
from vlzoo.config.check import Checked, load
from vlzoo.config.finetune import task_recipe
from vlzoo.data.roots import reference
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.metrics.figures import Scored
from vlzoo.models.precision import device_of
from vlzoo.runs.packaged import place_of_finetuning, run_folder
from vlzoo.runs.run import Run
from vlzoo.runs.selection import best_of
from vlzoo.train.launch import Job, train

logger = logging.getLogger("vlzoo")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """What came of a training; wherever a path is taken, it is its run's folder.

    >>> os.fspath(Trained(Path("runs/tiny"), step=2, metrics=[]))
    'runs/tiny'

    Attributes:
        folder: the run, for `vlzoo.load`, `vlzoo.measure` and `vlzoo.finetune`.
        step: updates that were made.
        metrics: the log: a row every `train.log_every` updates with losses, learning rate and speed, and one for each
            validation.
        best: the update of the best checkpoint; None where the recipe does not validate.
    """

    folder: Path
    step: int
    metrics: list[dict[str, Any]]
    best: int | None = None

    def __fspath__(self) -> str:
        return os.fspath(self.folder)


def pretrain(
    recipe: str | Path,
    out: str | Path,
    *,
    start: str | Path | None = None,
    data_root: str | Path | None = None,
    sets: Mapping[str, Any] | None = None,
    objectives: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    device: str | None = None,
) -> Trained:
    """Train a recipe into a run's folder, as `vlzoo pretrain` does.

    >>> short = {"train.samples": 16, "train.batch": 8, "train.workers": 0, "train.log_every": 1}
    >>> made = vlzoo.pretrain("albef-tiny", folder / "tiny", sets=short, data_root=data_root)
    >>> made.step, [row["step"] for row in made.metrics]
    (2, [1, 2])

    Args:
        recipe: a file, or a name such as `albef-tiny`.
        out: the folder to make.
        start: a run to start from, its folder or `package:vlzoo-tiny/albef`; None: fresh weights, or what the recipe
            starts from.
        data_root: where data lies; None: `VLZOO_DATA`, else `./data`.
        sets: values of the recipe to change, `{"train.lr": 1e-4}`; None takes an optional one away.
        objectives: further objectives, by their names.
        resume: go on where an interrupted run stopped.
        overwrite: delete the run that is there, with all that was fine-tuned and measured from it.
        device: `cpu`, `cuda`, `cuda:1`; None: a GPU where there is one.

    Raises:
        VlzooError: anything a user can mend: a mistake in the recipe, data that are not there, a run that is there.
    """
    checked = load(str(recipe), sets=_changes(sets), extra=tuple(objectives))
    job = job_of(checked, Path(out), data_root, start, resume=resume, overwrite=overwrite, device=device_of(device))
    return _trained(train(job))


def finetune(
    task: str,
    run: str | os.PathLike[str],
    *,
    out: str | Path | None = None,
    recipe: str | Path | None = None,
    data_root: str | Path | None = None,
    sets: Mapping[str, Any] | None = None,
    objectives: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    device: str | None = None,
) -> Trained:
    """Train a task from a run, as `vlzoo finetune` does.

    Args:
        task: its registered name: `retrieval`, `vqa`, `nlvr2`, `snli-ve`, or a plugin's.
        run: the run to start from, its folder or `package:vlzoo-tiny/albef`.
        out: the folder to make; None: `RUN/finetune/TASK`, which a package's run has not.
        recipe: the task's recipe; None: what the run's recipe names, else `tasks/TASK`.
        data_root: as of `pretrain`, and so are those below.
        sets: likewise.
        objectives: likewise.
        resume: likewise.
        overwrite: likewise.
        device: likewise.

    Raises:
        VlzooError: anything a user can mend.
    """
    begun = Run(run_folder(run))
    tree, named = begun.checked().tree, None if recipe is None else str(recipe)
    checked = task_recipe(task, tree, recipe=named, sets=_changes(sets), extra=objectives)
    folder = place_of_finetuning(begun, task, None if out is None else Path(out))
    job = job_of(checked, folder, data_root, begun.folder, resume=resume, overwrite=overwrite, device=device_of(device))
    return _trained(train(job))


def measure(
    model: str | os.PathLike[str],
    tasks: str | Sequence[str],
    *,
    data: str | None = None,
    split: str | None = None,
    data_root: str | Path | None = None,
    out: str | Path | None = None,
    checkpoint: str = "",
    batch: int | None = None,
    precision: str = "fp32",
    device: str | None = None,
    allow_missing: bool = False,
    allow_train_data: bool = False,
    **options: Any,
) -> dict[str, Scored]:
    """Measure a model on tasks, as `vlzoo bench` does; predictions that are there are not made again.

    >>> scored = vlzoo.measure(run, "retrieval", protocol="itc", data_root=data_root)["retrieval"]
    >>> [score.metric for score in scored.scores][:3]
    ['TR R@1', 'TR R@5', 'TR R@10']

    Args:
        model: a run's folder, with what was fine-tuned in it; `package:vlzoo-tiny/albef`; or a model of another family,
            `hf:FOLDER`.
        tasks: registered names of tasks, or one of them.
        data: data to measure on, `NAME` or `NAME=FOLDER`; None: the run's own.
        split: the split; None: `test`.
        data_root: where data lies; None: `VLZOO_DATA`, else `./data`.
        out: where predictions and figures go; None: into the run, or `bench-MODEL`.
        checkpoint: `last`, `best` or a step; empty: the best where the run validated, else the last.
        batch: rows of a forward pass; changes no figure.
        precision: `fp32`, `bf16` or `fp16`.
        device: `cpu`, `cuda`, `cuda:1`; None: a GPU where there is one.
        allow_missing: samples whose picture is missing count as wrong.
        allow_train_data: measure data that the run was trained on.
        options: of the tasks, each for those that take it: `protocol="itc"`, `k=8`.

    Returns:
        the figures of each task, by its name.

    Raises:
        UnknownName: no such task, or an option that none of them takes.
        VlzooError: anything else a user can mend.
    """
    place, root = None if out is None else Path(out), None if data_root is None else str(data_root)
    base = Request("", reference_of(model), place, data=reference(data) if data else None, split=split, root=root)
    base = replace(base, checkpoint=checkpoint, batch=batch, precision=precision, device=device_of(device))
    base = replace(base, allow_missing=allow_missing, allow_train_data=allow_train_data)
    shared = _shared_out([tasks] if isinstance(tasks, str) else list(tasks), options)
    requests = {task: replace(base, task=task, options=own) for task, own in shared.items()}
    for request in requests.values():
        check_request(request)
    return {task: bench(request, logger.info) for task, request in requests.items()}


def job_of(
    checked: Checked,
    out: Path,
    data_root: str | Path | None,
    start: str | Path | None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: torch.device | None = None,
    say: Say = logger.info,
) -> Job:
    """What is to be trained, with what measures it where its recipe validates.

    Args:
        checked: the recipe.
        out: the run's folder.
        data_root: where data lies.
        start: a run to start from.
        resume: go on where an interrupted run stopped.
        overwrite: delete the run that is there.
        device: where to train; None: a GPU where there is one.
        say: told what happens, line by line.

    Raises:
        VlzooError: resuming and overwriting are both asked for, or what is to be measured can't be.
    """
    if resume and overwrite:
        raise VlzooError("--resume and --overwrite can't both be given", fix="keep one of them")
    root = None if data_root is None else str(data_root)
    begun = None if start is None else run_folder(start)
    validates = checked.recipe.validation is not None
    measuring = Measuring(checked.recipe, root, device, say) if validates else None
    return Job(checked, out, root, begun, resume, overwrite, device, say, measuring)


def _changes(sets: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Changes as `--set` is given them: what JSON writes a recipe reads, paths as texts.

    Raises:
        VlzooError: a value that no recipe can hold.
    """
    return tuple(f"{key}={_as_json(key, value)}" for key, value in (sets or {}).items())


def _as_json(key: str, value: Any) -> str:
    try:
        return json.dumps(value, default=os.fspath, ensure_ascii=False)
    except TypeError:
        what = f"{value!r:.80} is no value that a recipe can hold"
        raise VlzooError(what, where=f"sets: {key}", fix="give a number, a text, a path, or a list of them") from None


def _trained(run: Run) -> Trained:
    rows, best = run.metrics(), best_of(run)
    steps = run.saved_steps()
    return Trained(run.folder, steps[-1] if steps else 0, rows, None if best is None else best.step)


def _shared_out(tasks: Sequence[str], options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each task with those of the options that it takes.

    Raises:
        UnknownName: no such task, or an option that none of them takes.
    """
    taken = {task: schema_of(registry().find("task", task)).names for task in tasks}
    for name in options:
        if not any(name in names for names in taken.values()):
            known = {each for names in taken.values() for each in names}
            fix = did_you_mean(name, known, what="options")
            raise UnknownName(f"no option {name!r} of {' or '.join(tasks)}", fix=fix)
    return {task: {name: value for name, value in options.items() if name in taken[task]} for task in tasks}
