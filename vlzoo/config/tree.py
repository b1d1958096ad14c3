"""YAML to plain data that remembers where each value was written.

Safe by construction: only plain scalars, lists and mappings; no tags, no merge keys; aliases are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as Loader  # ten times as quick
except ImportError:  # PyYAML was built without C
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

from vlzoo.errors import Problem, RecipeError, VlzooError

Path_ = tuple[str | int, ...]
MAX_NODES = 20_000
"""More values than this is no recipe: an alias that multiplies itself, most likely."""
MAX_BYTES = 1_000_000
MAX_DEPTH = 40
"""No recipe is nested deeper; a file that is could exhaust the interpreter's stack."""

_FLOAT = re.compile(r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+")


_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")


class _Writer(yaml.SafeDumper):
    """Puts quotes around the texts that only this reader takes for numbers."""


_Writer.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"(?:{_FLOAT.pattern})$"), list("-+.0123456789"))


def written(data: Any) -> str:
    """Plain data as YAML that `parse` reads back as it was, keys in their order."""
    text = yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True)
    if _BREAKS.search(text) is None:
        return text
    # Written as they are, these are line breaks to a reader.
    return yaml.dump(data, Dumper=_Writer, sort_keys=False)


@dataclass
class Tree:
    """Plain data and the origin of every value in it.

    Attributes:
        data: mappings, lists, texts, numbers, booleans and None.
        origins: key path -> `file:line` (or `--set ...`).
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path_, str] = field(default_factory=dict)

    def origin(self, path: Path_) -> str:
        """Where the value at `path` was written, or the nearest thing around it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, "")


def read(file: Path, shown: str | None = None) -> Tree:
    """Read a recipe's YAML file.

    Args:
        file: the file.
        shown: its name in errors and origins; as `file` where absent.

    Raises:
        RecipeError: it can't be read, is not YAML, repeats a key, uses tags, or multiplies itself.
    """
    name = shown or str(file)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise RecipeError([Problem(name, "", f"{file.stat().st_size} bytes is too long for a recipe")], recipe=name)
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8 text: {error}"
        raise RecipeError([Problem(name, "", f"can't be read: {reason}")], recipe=name) from error
    return parse(text, name)


def parse(text: str, name: str, *, kind: str = "recipe") -> Tree:
    """Parse YAML text.

    Args:
        text: what a file holds.
        name: stands in errors and origins.
        kind: what the text is, for errors.

    Raises:
        RecipeError: as `read`.
    """
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        raise RecipeError([_syntax(error, name)], recipe=name) from error
    except RecursionError as error:
        raise RecipeError([Problem(name, "", f"nested more than {MAX_DEPTH} deep")], recipe=name) from error
    except yaml.YAMLError as error:
        raise RecipeError([Problem(name, "", f"not YAML: {_first_line(error)}")], recipe=name) from error
    if root is None:
        raise RecipeError([Problem(name, "", "is empty", f"write a {kind}, or copy one of zoo_configs")], recipe=name)
    walk = _Walk(name)
    data = walk.value(root, ())
    if not isinstance(data, dict):
        walk.problem(root, (), f"a {kind} is a mapping of keys to values, not {_kind(data)}")
    if walk.problems:
        raise RecipeError(walk.problems, recipe=name)
    return Tree(data, walk.origins)


def scalar(text: str, name: str) -> Any:
    """The value of one piece of YAML, as `--set` gives it: `0.1`, `true`, `[a, b]`.

    Args:
        text: the piece.
        name: the switch and what was given to it, for errors.

    Raises:
        RecipeError: it is not YAML.
    """
    switch = name.partition(" ")[0]
    try:
        return parse(f"value: {text}", name).data["value"]
    except RecipeError as error:
        # There is no file here, so no line either; a text with a colon is the usual slip.
        problems = [Problem(name, "", each.what, f"quote it: {switch} 'key=\"a: b\"'") for each in error.problems]
        raise RecipeError(problems, recipe=switch) from error


def assignment(text: str, switch: str) -> tuple[str, Any]:
    """An option and its value, as `--set heads=4` gives them on the command line.

    Args:
        text: `OPTION=VALUE`, the value in YAML as recipes write it.
        switch: what it was given to, `--set`.

    Raises:
        VlzooError: there is no `=`, or the value is not YAML.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise VlzooError(f"{text!r} is not OPTION=VALUE", where=switch, fix="write KEY=VALUE: heads=4")
    return name, scalar(value, f"{switch} {text}")


class _Walk:
    """Builds plain data from YAML nodes, noting origins and every mistake on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.origins: dict[Path_, str] = {}
        self.problems: list[Problem] = []
        self.count = 0
        self.open: set[int] = set()

    def problem(self, node: yaml.Node, path: Path_, what: str, fix: str | None = None) -> None:
        self.problems.append(Problem(f"{self.name}:{node.start_mark.line + 1}", dotted(path), what, fix))

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            what = f"more than {MAX_NODES} values: an alias multiplies itself"
            where = f"{self.name}:{node.start_mark.line + 1}"
            raise RecipeError([*self.problems, Problem(where, dotted(path[:2]), what)], recipe=self.name)
        if len(path) > MAX_DEPTH:
            self.problem(node, path[:2], f"nested more than {MAX_DEPTH} deep")
            return None
        self.origins[path] = f"{self.name}:{node.start_mark.line + 1}"
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
            self.problem(node, path, f"the tag {node.tag!r} is not allowed", "write plain values")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if id(node) in self.open:
            self.problem(node, path, "an alias that holds itself")
            return None
        self.open.add(id(node))
        made = self.mapping(node, path) if isinstance(node, yaml.MappingNode) else self.sequence(node, path)
        self.open.discard(id(node))
        return made

    def mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        made: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problem(key, path, "a key must be a plain word")
            elif key.value == "<<":
                self.problem(key, path, "merge keys (<<) are not read", "use `extends:`")
            elif key.value in made:
                first = lines[key.value]
                self.problem(
                    key, (*path, key.value), f"the key {key.value!r} stands here again", f"first in line {first}"
                )
            else:
                lines[key.value] = key.start_mark.line + 1
                made[key.value] = self.value(value, (*path, key.value))
        return made

    def sequence(self, node: yaml.Node, path: Path_) -> list[Any]:
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def scalar(self, node: yaml.ScalarNode, path: Path_) -> Any:
        # YAML 1.1 reads 1e-4 as a text, which everybody trips over: it is a number here.
        if not node.style and _FLOAT.fullmatch(node.value):
            return float(node.value.replace("_", ""))
        if node.tag.endswith((":timestamp", ":binary")):
            return node.value
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self.problem(node, path, f"{node.value!r} can't be read: {error}")
            return None


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=Loader)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)  # its words say more of a mistake than C's


def _syntax(error: yaml.MarkedYAMLError, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}" if mark else name
    what = error.problem or str(error)
    if "'\\t'" in what:
        return Problem(where, "", "a tab at the start of a value", "indent with spaces")
    return Problem(where, "", f"not YAML: {what}" + (f" ({error.context})" if error.context else ""))


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())


def dotted(path: Path_) -> str:
    """A key path as people write it: `streams[0].data.split`."""
    made = ""
    for key in path:
        made += f"[{key}]" if isinstance(key, int) else f".{key}" if made else str(key)
    return made


def leaves(data: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value that holds no other, with its path."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


def _kind(value: Any) -> str:
    return {list: "a list", str: "a text", type(None): "nothing"}.get(type(value), f"a {type(value).__name__}")
