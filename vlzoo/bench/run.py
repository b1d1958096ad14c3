"""Bench runs on tasks: find the model, predict what is not predicted yet, score, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from vlzoo.bench.engine import Engine, load_run
from vlzoo.bench.score_base import Scored
from vlzoo.bench.store import Store, key_of
from vlzoo.bench.task import Settings, Task
from vlzoo.config.schema import PartRef, Recipe
from vlzoo.data.roots import open_source
from vlzoo.errors import CheckpointError, UnknownName, did_you_mean
from vlzoo.options import schema_of
from vlzoo.plugins import registry
from vlzoo.resources import write_text, writing
from vlzoo.train.checkpoint import latest
from vlzoo.train.progress import Progress
from vlzoo.train.run import Run

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wishes:
    """Settings asked for on the command line; None: as the recipe says."""

    protocol: str = ""
    k: int | None = None
    batch: int | None = None


@dataclass(frozen=True)
class Request:
    """One task to measure.

    Attributes:
        task: its registered name.
        run: the run folder.
        data: a data source in place of the recipe's.
        split: the split; None: the recipe's `bench` split, `test`.
        root: the data root.
        wishes: what replaces the recipe's settings.
        precision: of the forward passes.
        device: where; None: a GPU where there is one.
    """

    task: str
    run: Path
    data: PartRef | None = None
    split: str | None = None
    root: str | None = None
    wishes: Wishes = Wishes()
    precision: str = "fp32"
    device: torch.device | None = None


def check_request(request: Request) -> None:
    """Whether a task can be measured on a run; quick, so that several tasks are checked before the first is run.

    Raises:
        VlzooError: no such task or protocol, no such run, or nothing was trained for the task.
    """
    task: Task = registry().build("task", request.task)
    folder = find_run(request.run, task)
    latest(folder)
    _settings(request, task, Run(folder).recipe())


def bench(request: Request, say: Say = print) -> Scored:
    """Measure one task; predictions made before, by the same weights on the same data, are not made again.

    Raises:
        VlzooError: anything a user can mend.
    """
    task: Task = registry().build("task", request.task)
    folder = find_run(request.run, task)
    engine = load_run(folder, precision=request.precision, device=request.device)
    task = engine.task if engine.task is not None and engine.task.name == task.name else task
    settings = _settings(request, task, engine.recipe)
    source = _source(request, engine.recipe)
    about = _about(request, engine, source, settings)
    store = Store(folder / "bench" / task.name / key_of(**about), about)
    _predict(engine, task, source, settings, store, say)
    scored = task.score(source, store.rows(), settings.protocol)
    report = {**about, "run": str(folder), "notes": scored.notes, "scores": [asdict(score) for score in scored.scores]}
    file = store.folder / f"score-{settings.protocol.replace('/', '-')}.json"
    with writing(file, "the figures"):
        write_text(file, json.dumps(report, indent=1))
    Run(folder).watch("score", {"task": task.name, "scores": report["scores"]})
    return scored


def find_run(run: Path, task: Task) -> Path:
    """The run that a task is measured on: `run` itself, or what was fine-tuned for the task inside it.

    Raises:
        CheckpointError: nothing was trained for the task.
    """
    recipe = Run(run).recipe()
    inside = run / "finetune" / task.name
    if recipe.task == task.name:
        return run
    if inside.is_dir():
        return inside
    if recipe.task is None and not task.finetuned:
        return run
    trained = f"was fine-tuned for {recipe.task}" if recipe.task else "is a pre-trained run"
    raise CheckpointError(
        f"{str(run)!r} {trained}; nothing in it was trained for {task.name}",
        fix=f"vlzoo finetune {task.name} --from {run}",
    )


def _settings(request: Request, task: Task, recipe: Recipe) -> Settings:
    kept, asked = recipe.bench, request.wishes
    protocol = asked.protocol.removeprefix(f"{task.name}/") or task.protocols[0]
    if protocol not in task.protocols:
        fix = did_you_mean(protocol, task.protocols, what="protocols")
        raise UnknownName(f"{task.name} has no protocol {asked.protocol!r}", fix=fix)
    return Settings(protocol, asked.k or kept.k, asked.batch or kept.batch, kept.answers)


def _source(request: Request, recipe: Recipe) -> Any:
    """The data to measure on: what was asked for, else the recipe's, in its test split."""
    ref = request.data or recipe.bench.data or (recipe.all_streams[0].data if recipe.all_streams else None)
    if ref is None:
        raise UnknownName("no data to measure on", fix="give --data NAME")
    has_splits = "split" in schema_of(registry().find("data", ref.part)).names
    usual = "test" if has_splits and (request.data is not None or recipe.bench.data is None) else None
    return open_source(ref, request.root, split=request.split or usual)


def _about(request: Request, engine: Engine, source: Any, settings: Settings) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(settings).items() if name not in ("protocol", "batch")}
    return {
        "task": request.task,
        "weights": engine.weights,
        "recipe": engine.recipe.model_dump(mode="json"),
        "data": source.name,
        "fingerprint": source.fingerprint(),
        "precision": request.precision,
        "settings": kept,
    }


def _predict(engine: Engine, task: Task, source: Any, settings: Settings, store: Store, say: Say) -> None:
    done = frozenset(store.rows())
    if len(done) == len(source):
        say(f"{task.name}: {len(done)} predictions of these weights are there already")
        return
    progress = Progress(task.name, len(source), done=len(done), unit="samples")
    count = len(done)
    for rows in task.predict(engine, source, settings, done):
        store.append(rows)
        count += len(rows)
        progress.update(count)
    progress.close()
