"""All mistakes of a recipe at once: keys, types, names of parts, their options, and how they fit together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from vlzoo.config import schema
from vlzoo.config.compose import compose
from vlzoo.config.tree import Path_, Tree, dotted
from vlzoo.config.values import misfit, shown
from vlzoo.errors import Problem, RecipeError, UnknownName, VlzooError, did_you_mean
from vlzoo.options import Schema, schema_of
from vlzoo.plugins import registry
from vlzoo.registry import Part

NEEDED_TO_TRAIN = ("image_encoder", "text_encoder", "fusion")


@dataclasses.dataclass(frozen=True)
class Checked:
    """A recipe without a mistake, with the tree it came from."""

    name: str
    recipe: schema.Recipe
    tree: Tree


def load(recipe: str, *, sets: tuple[str, ...] = (), extra: tuple[str, ...] = ()) -> Checked:
    """Compose and check a recipe.

    Args:
        recipe: a file or a name.
        sets: `--set` changes.
        extra: `--with` objectives.

    Raises:
        RecipeError: holds every mistake, in the order of the file.
        UnknownName: there is no such recipe.
    """
    return check(compose(recipe, sets=sets, extra=extra), recipe)


def check(tree: Tree, name: str) -> Checked:
    """Check a composed tree.

    Raises:
        RecipeError: holds every mistake.
    """
    problems = list(_schema_problems(tree))
    problems += _part_problems(tree)
    problems += _fit_problems(tree)
    if problems:
        raise RecipeError(sorted(set(problems), key=_place), recipe=name)
    return Checked(name, schema.Recipe.model_validate_json(json.dumps(tree.data)), tree)


def _place(problem: Problem) -> tuple[str, int, str]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line), problem.path) if line.isdigit() else (problem.where, 0, problem.path)


def _schema_problems(tree: Tree) -> Iterator[Problem]:
    try:
        schema.Recipe.model_validate_json(json.dumps(tree.data))
    except ValidationError as error:
        # A union reports every branch that failed; the first says enough about one value.
        seen: set[Path_] = set()
        for detail in error.errors():
            path = _real_path(detail["loc"], tree.data)
            if path not in seen:
                seen.add(path)
                yield _schema_problem(dict(detail), path, tree)


def _real_path(loc: tuple[int | str, ...], data: Any) -> Path_:
    """The key path of an error, without the names of union branches that pydantic adds."""
    path: list[int | str] = []
    for step in loc:
        held = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if held or (isinstance(data, dict) and step in data):
            data = data[step]
            path.append(step)
        elif step == loc[-1] and isinstance(step, str) and isinstance(data, dict):
            path.append(step)
    return tuple(path)


def _schema_problem(detail: dict[str, Any], path: Path_, tree: Tree) -> Problem:
    where = tree.origin(path)
    if detail["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        return Problem(
            where, dotted(path), f"there is no key {path[-1]!r} here", did_you_mean(str(path[-1]), known, what="keys")
        )
    if detail["type"] == "missing":
        missing = detail["loc"][-1]
        what = f"{missing!r} is missing" if isinstance(missing, str) else f"entry {missing} of the list is missing"
        return Problem(where, dotted(path), what)
    wanted = detail["msg"].removeprefix("Input should be ")
    wanted = {"an object": "a mapping of keys to values", "a valid array": "a list"}.get(wanted, wanted)
    if detail["type"] == "literal_error":
        options = [each.strip(" '") for each in str(detail["ctx"]["expected"]).replace(" or ", ",").split(",")]
        return Problem(
            where,
            dotted(path),
            f"{shown(detail['input'])} is none of the choices",
            did_you_mean(str(detail["input"]), options, what="choices"),
        )
    return Problem(where, dotted(path), f"{shown(detail['input'])} does not fit: wanted {wanted}")


def _keys_at(path: Path_) -> list[str]:
    """The keys a section may have."""
    model: Any = schema.Recipe
    for step in path:
        field = model.model_fields.get(step) if isinstance(step, str) and model else None
        model = _model_in(field.annotation) if field else model if isinstance(step, int) else None
        if model is None:
            return []
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)


def references(data: dict[str, Any]) -> Iterator[tuple[str, Path_, str, dict[str, Any]]]:
    """Every mention of a part in a recipe: its kind, path, name and options."""
    model = data.get("model")
    for kind in ("image_encoder", "text_encoder", "fusion", "decoder"):
        if isinstance(model, dict):
            yield from _reference(kind, ("model", kind), model.get(kind))
    augment = data.get("augment")
    for when in ("train", "eval"):
        if isinstance(augment, dict):
            yield from _reference("augmentation", ("augment", when), augment.get(when))
    yield from _reference("data", ("data",), data.get("data"))
    if isinstance(data.get("bench"), dict):
        yield from _reference("data", ("bench", "data"), data["bench"].get("data"))
    streams = data.get("streams")
    for index, stream in enumerate(streams if isinstance(streams, list) else []):
        if isinstance(stream, dict):
            yield from _reference("data", ("streams", index, "data"), stream.get("data"))
            yield from _reference("augmentation", ("streams", index, "augment"), stream.get("augment"))
    objectives = data.get("objectives")
    for name, value in (objectives if isinstance(objectives, dict) else {}).items():
        if isinstance(value, dict):
            options = {key: v for key, v in value.items() if key not in ("part", "weight")}
            yield "objective", ("objectives", name), str(value.get("part") or name), options
    if isinstance(data.get("task"), str):
        yield "task", ("task",), data["task"], {}


def _reference(kind: str, path: Path_, value: Any) -> Iterator[tuple[str, Path_, str, dict[str, Any]]]:
    if isinstance(value, str):
        yield kind, path, value, {}
    elif isinstance(value, dict) and isinstance(value.get("part"), str):
        yield kind, path, value["part"], {key: v for key, v in value.items() if key != "part"}


def _part_problems(tree: Tree) -> Iterator[Problem]:
    for kind, path, name, options in references(tree.data):
        where = tree.origin((*path, "part"))
        try:
            part = registry().find(kind, name)
            yield from option_problems(part, schema_of(part), options, path, tree)
        except UnknownName as error:
            yield Problem(where, dotted(path), error.what, error.fix)
        except VlzooError as error:
            yield Problem(where, dotted(path), str(error))


def option_problems(part: Part, known: Schema, given: dict[str, Any], path: Path_, tree: Tree) -> Iterator[Problem]:
    """What is wrong with a part's options."""
    types = {option.name: option for option in known.options}
    for name, value in given.items():
        where, here = tree.origin((*path, name)), dotted((*path, name))
        if name not in types:
            if not known.open:
                what = f"{part.kind} {part.name!r} takes no option {name!r}"
                yield Problem(where, here, what, did_you_mean(name, types, what="options"))
        elif reason := misfit(value, types[name].type):
            yield Problem(where, here, reason)
    # A data source's folder comes from --data-root, so its recipe leaves it out.
    found_later = {"root"} if part.kind == "data" else set()
    for name, option in types.items():
        if option.default is None and name not in given and name not in found_later:
            yield Problem(tree.origin(path), dotted(path), f"{part.kind} {part.name!r} needs the option {name!r}")


def _fit_problems(tree: Tree) -> Iterator[Problem]:
    """What only shows when sections are read together."""
    data = tree.data
    objectives = data.get("objectives") if isinstance(data.get("objectives"), dict) else {}
    streams = data.get("streams") if isinstance(data.get("streams"), list) else []
    known = [part.name for part in registry().of("objective")]
    for name, value in (objectives or {}).items():
        if value in (False, None) and name not in known:
            fix = did_you_mean(name, known, what="known objective parts")
            path = ("objectives", name)
            yield Problem(tree.origin(path), dotted(path), f"no objective called {name!r} to switch off", fix)
    for index, stream in enumerate(streams or []):
        for place, name in enumerate((isinstance(stream, dict) and stream.get("objectives")) or []):
            if objectives is not None and not isinstance(objectives.get(name), dict):
                path = ("streams", index, "objectives", place)
                fix = did_you_mean(str(name), objectives, what="objectives of this recipe")
                yield Problem(tree.origin(path), dotted(path), f"{name!r} is not among the objectives that are on", fix)
    if data.get("data") and streams:
        yield Problem(tree.origin(("data",)), "data", "`data` and `streams` can't both be given", "keep one of them")
    train = data.get("train")
    if isinstance(train, dict) and train.get("epochs") and train.get("samples"):
        yield Problem(tree.origin(("train", "samples")), "train.samples", "`epochs` and `samples` can't both be given")
    for task in data.get("finetune") if isinstance(data.get("finetune"), dict) else ():
        tasks = [part.name for part in registry().of("task")]
        if task not in tasks:
            path = ("finetune", task)
            yield Problem(
                tree.origin(path), dotted(path), f"no task called {task!r}", did_you_mean(task, tasks, what="tasks")
            )
