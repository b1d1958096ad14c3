"""From a recipe's name to one tree: `extends`, `--set` and `--with` applied, every value's origin kept."""

from __future__ import annotations

import copy
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlzoo.config.paths import from_here
from vlzoo.config.tree import Path_, Tree, dotted, read, scalar
from vlzoo.door.parts import Part
from vlzoo.door.plugins import registry
from vlzoo.errors import Problem, RecipeError, UnknownName, did_you_mean
from vlzoo.resources import zoo_configs

_STEP = re.compile(r"([^.\[\]\s]+)|\[(\d+)\]")
_KEY = re.compile(r"[^.\[\]\s]+(\[\d+\])*(\.[^.\[\]\s]+(\[\d+\])*)*")


def compose(recipe: str, *, sets: Sequence[str] = (), extra: Sequence[str] = ()) -> Tree:
    """Read a recipe with all it extends, then apply the command line's changes.

    Args:
        recipe: a file, or the name of a registered recipe or of one in zoo_configs (`albef`, `tasks/vqa`).
        sets: changes such as `train.lr=1e-4`; `null` takes an optional value away, `streams[0].batch=8` reaches
            into a list.
        extra: objectives to add (`--with`), by name.

    Raises:
        RecipeError: a file that can't be read, a cycle of `extends`, or a change that can't be made.
        UnknownName: no such recipe.
    """
    tree = read_extended(find_file(recipe), ())
    amend(tree, sets, extra, recipe)
    return tree


def amend(tree: Tree, sets: Sequence[str], extra: Sequence[str], recipe: str) -> None:
    """Apply the command line's changes in place; arguments and errors as `compose`."""
    for change in sets:
        _apply(tree, change)
    for name in extra:
        objectives = tree.data.setdefault("objectives", {})
        if not isinstance(objectives, dict):
            raise RecipeError([Problem("--with", name, "`objectives` is not a mapping")], recipe=recipe)
        if objectives.get(name) in (None, False):  # absent, or switched off by the recipe
            objectives[name] = {}
            tree.origins[("objectives", name)] = f"--with {name}"
        _into_streams(tree, name)


def find_file(recipe: str, near: Path | None = None) -> Path:
    """The file of a recipe.

    Args:
        recipe: a path (relative to `near` first), or a name.
        near: folder of the file that mentions it.

    Raises:
        UnknownName: there is no such file and no such recipe.
    """
    looks_like_file = recipe.endswith((".yaml", ".yml"))
    for folder in filter(None, (near, Path())):
        if looks_like_file and (folder / recipe).is_file():
            return folder / recipe
    shipped = zoo_configs() / (recipe if looks_like_file else f"{recipe}.yaml")
    if ".." not in Path(recipe).parts and shipped.is_file():
        return shipped
    if looks_like_file:
        what = "is a folder" if Path(recipe).is_dir() else "there is no such file"
        raise UnknownName(
            f"recipe {recipe!r}: {what}", fix=did_you_mean(Path(recipe).stem, known_recipes(), what="recipes")
        )
    try:
        return method_file(registry().find("method", recipe))
    except UnknownName as error:
        if "supplied by both" in error.what:
            raise
        # A folder may well be called as a recipe: the run that was made with it.
        what = f"recipe {recipe!r}: is a folder" if Path(recipe).is_dir() else f"no recipe called {recipe!r}"
        raise UnknownName(what, fix=did_you_mean(recipe, known_recipes(), what="recipes")) from None


def method_file(part: Part) -> Path:
    """The YAML file behind a registered method, found without importing its package.

    Raises:
        UnknownName: its package holds no such file.
    """
    package, _, inside = part.target.partition(":")
    if part.owner.dist == "vlzoo":
        return zoo_configs() / inside
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(root) / inside).is_file():
            return Path(root) / inside
    raise UnknownName(f"method {part.name!r} has no file {inside!r} in {package!r}", where=str(part.owner))


def read_extended(file: Path, open_files: tuple[Path, ...]) -> Tree:
    """A file's tree on top of those it extends.

    Raises:
        RecipeError: a cycle, or a file that can't be read.
    """
    shown = display(file)
    resolved = file.resolve()
    if resolved in open_files:
        chain = " -> ".join(display(each) for each in (*open_files, resolved))
        raise RecipeError([Problem(shown, "extends", f"a cycle: {chain}", "drop one `extends`")], recipe=shown)
    own = read(file, shown)
    bases = own.data.pop("extends", None)
    names = [bases] if isinstance(bases, str) else [] if bases is None else bases
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        where = own.origin(("extends",))
        raise RecipeError(
            [Problem(where, "extends", f"{bases!r} is no recipe", "name one recipe or a list")], recipe=shown
        )
    merged = Tree()
    for name in names:
        try:
            base = find_file(name, resolved.parent)
        except UnknownName as error:
            raise RecipeError(
                [Problem(own.origin(("extends",)), "extends", error.what, error.fix)], recipe=shown
            ) from None
        overlay(merged, read_extended(base, (*open_files, resolved)))
    overlay(merged, own)
    return merged


def overlay(base: Tree, top: Tree) -> None:
    """Lay `top` over `base` in place: mappings are merged, everything else is replaced."""
    _merge(base.data, top.data, base, top, ())
    base.origins[()] = top.origins.get((), base.origins.get((), ""))


def _merge(into: dict[str, Any], new: dict[str, Any], base: Tree, top: Tree, path: Path_) -> None:
    for key, value in new.items():
        here = (*path, key)
        old = into.get(key)
        if isinstance(old, str) and isinstance(value, dict) and old:
            old = into[key] = {"part": old}  # `fusion: merged` is short for `fusion: {part: merged}`
        # Another part in the same place has other options: the old one's must not leak into it.
        other_part = (
            isinstance(value, dict) and isinstance(old, dict) and value.get("part", old.get("part")) != old.get("part")
        )
        if isinstance(value, dict) and isinstance(old, dict) and not other_part:
            _merge(old, value, base, top, here)
        else:
            for stale in [each for each in base.origins if each[: len(here)] == here]:
                del base.origins[stale]
            into[key] = copy.deepcopy(value)
            base.origins.update({each: origin for each, origin in top.origins.items() if each[: len(here)] == here})


def _apply(tree: Tree, change: str) -> None:
    """Make one `--set key.path=value` change."""
    key, equals, text = change.partition("=")
    where = f"--set {change}"
    if not equals or not _KEY.fullmatch(key):
        raise RecipeError([Problem(where, "", "is no change", "write --set key.path=value")], recipe="--set")
    steps = tuple(int(number) if number else word for word, number in _STEP.findall(key))
    value = scalar(text, where)
    holder: Any = tree.data
    for depth, step in enumerate(steps[:-1]):
        holder = _inside(holder, step, steps[: depth + 1], where)
    last = steps[-1]
    if isinstance(holder, list) and not (isinstance(last, int) and last < len(holder)):
        what = f"there is no such entry: the list has {len(holder)}, counted from 0"
        raise RecipeError([Problem(where, dotted(steps), what)], recipe="--set")
    if isinstance(holder, dict) and isinstance(last, int):
        raise RecipeError([Problem(where, dotted(steps), "there is no list here")], recipe="--set")
    if isinstance(holder, dict) and steps[-2:-1] == ("data",):
        value = from_here(_source(holder), str(last), value)
    holder[last] = value
    for stale in [each for each in tree.origins if each[: len(steps)] == steps]:
        del tree.origins[stale]
    tree.origins[steps] = where


def _source(holder: dict[str, Any]) -> Part | None:
    """The data source that a section names; None where another section does, or it is not known."""
    name = holder.get("part")
    return next((part for part in registry().of("data") if name in (part.name, part.qualified)), None)


def _inside(holder: Any, step: str | int, path: Path_, where: str) -> Any:
    if isinstance(holder, list) and isinstance(step, int) and step < len(holder):
        return holder[step]
    if isinstance(holder, dict) and isinstance(step, str):
        if not isinstance(holder.get(step), dict | list):
            holder[step] = {"part": holder[step]} if isinstance(holder.get(step), str) else {}
        return holder[step]
    raise RecipeError([Problem(where, dotted(path), "there is nothing to reach into")], recipe="--set")


def _into_streams(tree: Tree, name: str) -> None:
    """An objective added by `--with` joins every stream that names its objectives."""
    for stream in tree.data.get("streams") or ():
        if isinstance(stream, dict) and isinstance(stream.get("objectives"), list) and name not in stream["objectives"]:
            stream["objectives"].append(name)


def known_recipes() -> list[str]:
    """The names of recipes that come with vlzoo and its plugins, those in folders too: `tasks/vqa`."""
    root = zoo_configs()
    files = [str(file.relative_to(root).with_suffix("")) for file in root.rglob("*.yaml")]
    return sorted({*files, *(part.name for part in registry().of("method"))})


def display(file: Path) -> str:
    """A short name for a file: relative to here or to zoo_configs where that works."""
    resolved = file.resolve()
    if resolved.is_relative_to(Path.cwd()):
        return str(resolved.relative_to(Path.cwd()))
    root = zoo_configs().resolve()
    return f"zoo_configs/{resolved.relative_to(root)}" if resolved.is_relative_to(root) else str(resolved)
