"""All mistakes of a recipe at once: keys, types, names of parts, their options, and how they fit together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from vlzoo.config import schema
from vlzoo.config.compose import compose, read_extended
from vlzoo.config.model_fit import model_problems
from vlzoo.config.part_problems import found_part, option_problems, part_problems
from vlzoo.config.schema_problems import schema_problems
from vlzoo.config.sides import sides_problems
from vlzoo.config.training_problems import training_problems
from vlzoo.config.tree import Path_, Tree, dotted
from vlzoo.config.values import misfit
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.door.registry import Registry
from vlzoo.errors import Problem, RecipeError, did_you_mean

SECTIONS = ("temperature", "projection")
"""The keys of a model that are no parts and may hold a mapping."""

PARTS = ("data", "augment")
"""The keys of a stream that name a part."""


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


def check_trained(file: Path) -> Checked:
    """Check the recipe of a run, in which every value is written out; at once where it was checked before.

    Raises:
        RecipeError: as of `load`; a plugin that it was trained with may be missing.
    """
    held = file.stat()
    return _check_trained(file, (held.st_mtime_ns, held.st_size), registry())


@lru_cache(maxsize=16)
def _check_trained(file: Path, _changed: tuple[int, int], _parts: Registry) -> Checked:
    # A bench asks a dozen times.
    return check(read_extended(file, ()), str(file), trained=True)


def check(tree: Tree, name: str, *, trained: bool = False) -> Checked:
    """Check a composed tree.

    Args:
        tree: the recipe.
        name: its name.
        trained: it is the recipe of a run that is there: how it was to be trained is asked no more.

    Raises:
        RecipeError: holds every mistake.
    """
    problems = list(schema_problems(tree))
    problems += part_problems(tree)
    problems += _fit_problems(tree)
    problems += () if trained else (*_tokenizer_problems(tree), *training_problems(tree), *sides_problems(tree))
    if problems:
        raise RecipeError(sorted(set(problems), key=_place), recipe=name)
    return Checked(name, schema.Recipe.model_validate_json(json.dumps(tree.data)), tree)


def _place(problem: Problem) -> tuple[str, int, str]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line), problem.path) if line.isdigit() else (problem.where, 0, problem.path)


def _fit_problems(tree: Tree) -> Iterator[Problem]:
    """What only shows when sections are read together."""
    data = tree.data
    yield from _needs_problems(tree, data.get("needs"))
    yield from _objective_problems(tree, _section(data, "objectives"))
    yield from _start_problems(tree)
    yield from _validation_problems(tree, _section(data, "validation"))
    if data.get("data") and data.get("streams"):
        yield Problem(tree.origin(("data",)), "data", "`data` and `streams` can't both be given", "keep one of them")
    train = _section(data, "train")
    if train.get("epochs") and train.get("samples"):
        yield Problem(tree.origin(("train", "samples")), "train.samples", "`epochs` and `samples` can't both be given")
    if not data.get("task"):
        yield from _unnamed_parts(tree)
    yield from model_problems(tree)
    yield from _bench_problems(tree, _section(data, "bench"))
    yield from _finetune_problems(tree, _section(data, "finetune"))


def _validation_problems(tree: Tree, validation: dict[str, Any]) -> Iterator[Problem]:
    """Options of the data that is measured, where the section names no other; keys, where no task says its options."""
    data, streams = tree.data, _streams(tree)
    named = _mapping(validation.get("data"))
    usual = _section(data, "bench").get("data") or (streams[0].get("data") if streams else data.get("data"))
    part = found_part("data", _mapping(usual).get("part") or usual)
    if part is not None and named and not named.get("part"):
        options = {name: value for name, value in named.items() if name != "part"}
        yield from option_problems(part, schema_of(part), options, ("validation", "data"), tree)
    asked = [name for name in validation if name not in schema.Validation.model_fields]
    if asked and found_part("task", validation.get("task") or data.get("task")) is None:
        taken = {option.name for each in registry().of("task") for option in schema_of(each).options}
        known = {*schema.Validation.model_fields, *taken}
        for name in asked:
            if name not in taken:
                path: Path_ = ("validation", name)
                fix = did_you_mean(name, known, what="keys and options of tasks")
                yield Problem(tree.origin(path), dotted(path), f"there is no key {name!r} here", fix)


def _bench_problems(tree: Tree, bench: dict[str, Any]) -> Iterator[Problem]:
    """Options of tasks that no task takes, or of another type; those under a task's name are checked as parts are."""
    asked = {name: value for name, value in bench.items() if name not in schema.Bench.model_fields}
    asked = {name: value for name, value in asked.items() if not isinstance(value, dict)}
    if not asked:
        return  # what all tasks take is not read from their sources
    taken: dict[str, set[str]] = {}
    for part in registry().of("task"):
        for option in schema_of(part).options:
            taken.setdefault(option.name, set()).add(option.type)
    tasks = {name for part in registry().of("task") for name in (part.name, part.qualified)}
    known = [*schema.Bench.model_fields, *taken, *(part.name for part in registry().of("task"))]
    for name, value in asked.items():
        path: Path_ = ("bench", name)
        if name in tasks:
            if value is not None:
                what = f"{value!r} does not fit: wanted a mapping of the task's options"
                yield Problem(tree.origin(path), dotted(path), what, f"write `{name}: {{OPTION: VALUE}}`")
        elif name not in taken:
            fix = did_you_mean(name, known, what="keys, tasks and options of tasks")
            yield Problem(tree.origin(path), dotted(path), f"there is no key {name!r} here", fix)
        elif value is not None and all(misfit(value, each) for each in taken[name]):
            yield Problem(tree.origin(path), dotted(path), str(misfit(value, sorted(taken[name])[0])))


def _needs_problems(tree: Tree, needs: Any) -> Iterator[Problem]:
    """Packages a recipe counts on that are not installed: said once, beside the parts that are then missing."""
    for place, name in enumerate(needs if isinstance(needs, list) else []):
        try:
            metadata.version(str(name))
        except (metadata.PackageNotFoundError, ValueError):
            path: Path_ = ("needs", place)
            what, fix = f"the package {name!r} is not installed", f"pip install {name}"
            yield Problem(tree.origin(path), dotted(path), what, fix)


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of a recipe; empty where it is missing or no mapping."""
    return _mapping(data.get(name))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objective_problems(tree: Tree, objectives: dict[str, Any]) -> Iterator[Problem]:
    known = [part.name for part in registry().of("objective")]
    for name, value in objectives.items():
        if value in (False, None) and name not in known:
            fix = did_you_mean(name, known, what="known objective parts")
            path: Path_ = ("objectives", name)
            yield Problem(tree.origin(path), dotted(path), f"no objective called {name!r} to switch off", fix)
    for index, stream in enumerate(_streams(tree)):
        named = stream.get("objectives")
        for place, name in enumerate(named if isinstance(named, list) else []):
            if not isinstance(objectives.get(str(name)), dict):
                path = ("streams", index, "objectives", place)
                fix = did_you_mean(str(name), objectives, what="objectives of this recipe")
                yield Problem(tree.origin(path), dotted(path), f"{name!r} is not among the objectives that are on", fix)


def _start_problems(tree: Tree) -> Iterator[Problem]:
    """Modules to be filled that no model has; deeper names only the built model knows."""
    known = {name for name in schema.Model.model_fields if name != "joint"} | set(_section(tree.data, "objectives"))
    known |= {"image_projection", "text_projection"}
    starts = tree.data.get("start")
    for index, entry in enumerate(starts if isinstance(starts, list) else []):
        named = _mapping(entry).get("into")
        for place, name in enumerate(named if isinstance(named, list) else []):
            head = str(name).removeprefix("model.").removeprefix("objectives.").partition(".")[0]
            if head not in known | {"model", "objectives"}:
                path: Path_ = ("start", index, "into", place)
                fix = did_you_mean(head, known, what="modules")
                yield Problem(tree.origin(path), dotted(path), f"there is no module {name!r} to fill", fix)


def _tokenizer_problems(tree: Tree) -> Iterator[Problem]:
    """A vocabulary to be built from data by a part that can't; a task's model comes with the words of its run."""
    wanted = _section(tree.data, "tokenizer")
    part = found_part("tokenizer", wanted.get("part", schema.Tokenizer().part))
    if part is None or wanted.get("vocab", "data") != "data" or tree.data.get("task"):
        return
    known = schema_of(part)
    asked = any(option.name == "vocab" and option.default is None for option in known.options)
    if asked and not known.open and "texts" not in known.names:
        path: Path_ = ("tokenizer", "vocab")
        what, fix = f"a vocabulary of {part.name} can't be built from data", "name the file or folder: `vocab: PATH`"
        yield Problem(tree.origin(path), dotted(path), what, f"{fix}, or a pip package: `vocab: package:NAME`")


def _streams(tree: Tree) -> list[dict[str, Any]]:
    streams = tree.data.get("streams")
    return [_mapping(stream) for stream in streams] if isinstance(streams, list) else []


def _unnamed_parts(tree: Tree) -> Iterator[Problem]:
    """Options without a part, where no run can say later which part is meant."""
    data = tree.data
    places: list[tuple[Path_, Any]] = [(("data",), data.get("data"))]
    places += [(("model", name), value) for name, value in _section(data, "model").items() if name not in SECTIONS]
    places.append((("token_mask",), data.get("token_mask")))
    places += [(("augment", name), value) for name, value in _section(data, "augment").items()]
    for index, stream in enumerate(_streams(tree)):
        places += [(("streams", index, name), stream.get(name)) for name in PARTS]
    for path, value in places:
        if isinstance(value, dict) and "part" not in value:
            yield Problem(tree.origin(path), dotted(path), "'part' is missing", "name the part: `part: NAME`")


def _finetune_problems(tree: Tree, finetune: dict[str, Any]) -> Iterator[Problem]:
    """Mistakes in what a method changes of its tasks' recipes; what those recipes hold can't be told from here."""
    tasks = [part.name for part in registry().of("task")]
    for task, asked in finetune.items():
        path: Path_ = ("finetune", task)
        if task not in tasks:
            fix = did_you_mean(task, tasks, what="tasks")
            yield Problem(tree.origin(path), dotted(path), f"no task called {task!r}", fix)
        changed = dict(_mapping(asked))
        named = changed.pop("extends", None)
        if named is not None and not isinstance(named, str):
            where = (*path, "extends")
            yield Problem(
                tree.origin(where), dotted(where), f"{named!r} is no name of a recipe", "name one: tasks/TASK"
            )
        inner = Tree(changed, {each[2:]: where for each, where in tree.origins.items() if each[:2] == path})
        bench = _bench_problems(inner, _section(changed, "bench"))
        for problem in (*schema_problems(inner), *part_problems(inner, whole=False), *bench):
            yield dataclasses.replace(problem, path=f"{dotted(path)}.{problem.path}")
