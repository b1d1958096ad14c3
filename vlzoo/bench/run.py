"""Bench runs on tasks: predict what is not predicted yet, score, report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from vlzoo.bench.code import code_hash
from vlzoo.bench.model import BenchModel, family_of
from vlzoo.bench.request import Request, absent_pictures, check_held_out, data_of, opened, source_of
from vlzoo.bench.shards import left_of
from vlzoo.bench.store import Store, key_of
from vlzoo.config.schema import PartRef, Recipe
from vlzoo.data.held_out import Overlap
from vlzoo.errors import DataError, PredictionError
from vlzoo.metrics.figures import Scored
from vlzoo.models.precision import default_device
from vlzoo.progress import Progress
from vlzoo.runs.run import Run
from vlzoo.runs.scores import keep
from vlzoo.task import Effort, Task
from vlzoo.train.engine import Engine
from vlzoo.train.memory import held_at_most
from vlzoo.types import Row

Say = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """A bench that came to its end.

    Attributes:
        task: the task, with what it learned.
        source: the data.
        rows: the predictions by sample name, of samples that lack their picture blank ones; those of other processes
            that are not there yet are missing.
        scored: the figures; None while predictions are missing.
        folder: where predictions and figures lie.
        of: what the figures are of: the run or model, its checkpoint, its weights' hash and precision, `mode` and `k`.
    """

    task: Task
    source: Any
    rows: Mapping[str, Row]
    scored: Scored | None
    folder: Path
    of: Mapping[str, Any] = field(default_factory=dict)


def bench(request: Request, say: Say = print) -> Scored:
    """Measure one task; predictions made before, by the same weights on the same data, are not made again.

    Raises:
        VlzooError: anything a user can mend.
    """
    return measure(request, say).scored or Scored(())


def measure(request: Request, say: Say = print, engine: Engine | None = None) -> Measured:
    """`bench`, with the predictions; no figures while other processes' share is missing.

    Args:
        request: what is measured.
        say: told what happens, line by line.
        engine: of several processes that share the work; the one that leads gets the figures. None: alone, or one of
            those that share by files.

    Raises:
        VlzooError: anything a user can mend.
    """
    engine = engine or Engine(request.device or default_device())
    several, meet = engine.share.of > 1, None
    if several:
        share = (engine.share.number, engine.share.of)
        request = replace(request, device=engine.device, effort=replace(request.effort, share=share))
        say, meet = say if engine.share.leads else lambda _line: None, partial(_meet, engine)
    with engine.first():  # mistakes are told once
        model, task, folder = opened(request)
        model.say = say
        if model.note:
            say(model.note)
        data = data_of(request, model.recipe)
        source = source_of(data, request.root)
        trained = check_held_out(request, source, model)
        signs = Run(folder).bench_folder("processes")
        if several and engine.share.leads:
            shutil.rmtree(signs, ignore_errors=True)  # of processes that were killed
    with engine.together(signs, (model.recipe or Recipe()).train.patience):
        engine.does("measuring", 0)
        measured = measure_model(request, model, task, source, folder, trained, meet, data)
    say(f"{task.name}: predictions and figures lie in {measured.folder}")
    if model.run is not None and measured.scored is not None:
        scores = [score.plain() for score in measured.scored.scores]
        Run(model.run).watch("score", {"task": task.name, "scores": scores})
    return measured


def _meet(engine: Engine) -> None:
    engine.does("waiting", 0)
    engine.wait()


def measure_model(
    request: Request,
    model: BenchModel,
    task: Task,
    source: Any,
    folder: Path,
    trained: Overlap | None = None,
    meet: Callable[[], None] | None = None,
    data: PartRef | None = None,
) -> Measured:
    """Measure a model that is open.

    Args:
        request: how.
        model: what is measured.
        task: the task with its options and what it learned.
        source: the data.
        folder: where predictions and figures go.
        trained: how much of the data the model was trained on, which is said beside the figures; None: nothing.
        meet: returns when every process has predicted its share, and then the one that leads scores; None: whoever
            finds all predictions there does.
        data: what the data were opened by, noted beside the figures; None: nobody opens them again.

    Raises:
        VlzooError: anything a user can mend.
    """
    say = model.say
    task.suit(model)
    about, effort = _depends_on(request, model, task, source, folder)
    store = Store(Run(folder).bench_folder(task.name, key_of(**about)), about, shard=effort.share[0])
    source = task.counted(source)
    absent = _absent(request, task, source)
    names = [source[row].name for row in range(len(source))]
    _predict(model, task, source, effort, store, names, absent)
    if meet is not None:
        meet()
        if effort.share[0]:
            return Measured(task, source, {}, None, store.folder)
    rows = store.rows()
    if left := len(source) - len(rows.keys() | absent.keys()):
        if meet is not None:
            fix = "do all processes see this folder? give --out DIR on a disk that they share"
            raise PredictionError(
                f"{left} predictions of other processes are not here", where=str(store.folder), fix=fix
            )
        say(f"{task.name}: the share of this process is predicted; {left} samples of others are not there yet")
        return Measured(task, source, rows, None, store.folder)
    rows = {**store.join(names), **_blanks(task, source, absent)}
    if not request.keep_features:
        shutil.rmtree(effort.features or folder, ignore_errors=True)
    try:
        scored = _scored(task, source, rows, absent, trained)
    except DataError as error:
        if not request.submits and (meet is not None or effort.share[1] == 1):
            raise  # one that shares the work by files leaves this to who asked for all of it
        say(f"{task.name} is not scored here: {error.what}")
        return Measured(task, source, rows, None, store.folder)
    of = _of(request, model, task, scored)
    keep(store.folder, {**about, **of, **_reopening(data, task)}, scored, task.protocol)
    return Measured(task, source, rows, scored, store.folder, of)


def _depends_on(
    request: Request, model: BenchModel, task: Task, source: Any, folder: Path
) -> tuple[dict[str, Any], Effort]:
    """All that predictions depend on, for their key; and what predicting may take, with the features' place."""
    about = _about(request, model, source)
    batch = request.batch or (model.recipe.bench.batch if model.recipe else Effort.batch)
    effort = replace(request.effort, batch=batch, features=Run(folder).bench_folder("features", key_of(**about)))
    return about | {"task": task.name, "task code": code_hash([task]), "options": dict(task.kept())}, effort


def _of(request: Request, model: BenchModel, task: Task, scored: Scored) -> dict[str, Any]:
    """What figures are of, and how their predictions were made."""
    what = {"model": request.model} if model.run is None else {"run": str(model.run)}
    checkpoint = {"checkpoint": model.checkpoint, "weights": model.weights, "precision": model.precision}
    return {**what, **checkpoint, **_settings(task, scored)}


def _reopening(data: PartRef | None, task: Task) -> dict[str, Any]:
    """What is needed to read the predictions with their samples again: the protocol, and how the data were opened."""
    return {"protocol": task.protocol, "opened": None if data is None else data.model_dump()}


def _settings(task: Task, scored: Scored) -> dict[str, Any]:
    """The options that stand beside figures; None where the task has none of the name, or it played no part."""
    made = {**task.kept(), **scored.settings}
    return {name: made.get(name) for name in ("mode", "k")}


def _absent(request: Request, task: Task, source: Any) -> dict[str, str]:
    """Samples whose picture is not there: name -> the file.

    Raises:
        DataError: there are some, and they were not allowed or all of them are missing.
    """
    absent = absent_pictures(source)
    first = ", ".join(sorted(set(absent.values()))[:3])
    allowed = request.allow_missing and len(absent) < len(source)
    if absent and not (allowed and task.blank(source[0]) is not None):
        able = task.blank(source[0]) is not None
        fix = "--allow-missing counts them as wrong and says so beside the number" if able else "every one is needed"
        raise DataError(
            f"{len(absent)} samples of {len(source)} lack their picture: {first}", where=source.name, fix=fix
        )
    return absent


def _blanks(task: Task, source: Any, absent: Collection[str]) -> dict[str, Row]:
    """What counts as predicted of samples whose picture is not there; a server wants an answer to them, too."""
    blanks = ((sample.name, task.blank(sample)) for sample in source if sample.name in absent) if absent else ()
    return {name: row for name, row in blanks if row}


def _scored(
    task: Task, source: Any, rows: Mapping[str, Row], absent: Mapping[str, str], trained: Overlap | None
) -> Scored:
    scored = task.score(source, rows)
    mark = " (trained on)" if trained is not None and trained.trained else ""
    scored = scored.on(f"{source.name} {source.fingerprint()}{mark}")
    how = ", ".join(f"{name} {value}" for name, value in _settings(task, scored).items() if value is not None)
    said = ([f"predicted with {how}"] if how else []) + ([str(trained)] if trained else [])
    scored = replace(scored, notes=(*said, *scored.notes))
    if not absent:
        return scored
    note = f"{len(absent)} samples whose picture is missing count as wrong"
    return replace(scored, missing=len(absent), notes=(*scored.notes, note))


def _about(request: Request, model: BenchModel, source: Any) -> dict[str, Any]:
    """Everything that features depend on; predictions depend on the task and its options besides."""
    return {
        "weights": model.weights,
        **model.described(),
        "family code": code_hash([family_of(request.model)[0]]),
        "data": source.name,
        "data code": code_hash([source, *getattr(source, "sources", {}).values()]),
        "fingerprint": source.fingerprint(),
        "precision": request.precision,
    }


def _predict(
    model: BenchModel,
    task: Task,
    source: Any,
    effort: Effort,
    store: Store,
    names: Sequence[str],
    absent: Collection[str],
) -> None:
    """Predict this process's share of what is not predicted yet; `names` are those of all samples."""
    done = frozenset(store.rows())
    there = [name for name in names if name not in absent]
    mine = left_of(effort.share, there, task.together(effort), done)
    others, count = frozenset(names).difference(mine), len(done.difference(mine))
    if not mine:
        model.say(f"{task.name}: {count} predictions of these weights are there already")
        return
    started, before = time.perf_counter(), count
    with closing(Progress(task.name, count + len(mine), done=count, unit="samples", forecast=model.say)) as progress:
        for rows in task.predict(model, source, others, effort):
            store.append([row for row in rows if row["name"] not in done])
            count += len(rows)
            progress.update(count)
    spent = {"samples": count - before, "seconds": round(time.perf_counter() - started, 3)}
    at = {"process": effort.share[0], "processes": effort.share[1], "device": str(model.device)}
    store.note_cost({**spent, **held_at_most(model.device), **at})
