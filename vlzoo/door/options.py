"""A part's options, read from its source without running it: no torch for `vlzoo show` and `vlzoo check`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from vlzoo.door.parts import FUNCTIONS, Option, Part
from vlzoo.door.source import Definition, definition, full_name, is_overload, locate, statements
from vlzoo.errors import UnknownName, did_you_mean

Options = tuple[Option, ...]
Ancestor = Definition | str
"""A base class; its name as written where its source can't be found."""

NO_OPTIONS = {
    "object",
    "abc.ABC",
    "torch.nn.Module",  # it takes anything and refuses it later
    *(f"{module}.{name}" for module in ("typing", "typing_extensions") for name in ("Generic", "Protocol")),
}
"""Bases that take no options; their long sources need not be read."""


@dataclass(frozen=True)
class Schema:
    """The options a part takes.

    Attributes:
        options: in the order of the signature.
        open: whether it takes options beyond these (`**kwargs`, or a source that can't be read).
        doc: the docstring's first paragraph.
        where: `file:line` of the definition; empty where it was not found.
        facts: what the class and its bases say of themselves in plain values: `needs = ("fusion",)`.
    """

    options: Options
    open: bool = False
    doc: str = ""
    where: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of the options."""
        return [option.name for option in self.options]


def schema_of(part: Part) -> Schema:
    """The options of a part: as registered, else as its constructor's signature says.

    Raises:
        VlzooError: its source, or that of a base class, is not Python.
    """
    module, _, attribute = part.target.partition(":")
    found = definition(module, attribute)
    if found is None:
        return Schema(part.options or (), open=part.options is None)
    where = f"{found.file}:{found.node.lineno}"
    doc = (ast.get_docstring(found.node) or "").partition("\n\n")[0].replace("\n", " ")
    if part.options is not None or part.kind in FUNCTIONS:
        return Schema(part.options or (), doc=doc, where=where, facts=_facts(found))
    options, is_open = _signature(found)
    return Schema(options, is_open, doc, where, _facts(found))


def check_names(part: Part, given: Iterable[str], *, where: str | None = None) -> None:
    """Refuse options the part does not take.

    Raises:
        UnknownName: names the option, the part and the nearest option.
    """
    schema = schema_of(part)
    for name in given:
        if name not in schema.names and not schema.open:
            raise UnknownName(
                f"{part.kind} {part.name!r} takes no option {name!r}",
                where=where,
                fix=did_you_mean(name, schema.names, what="options"),
            )


@cache
def _signature(found: Definition) -> tuple[Options, bool]:
    """The options of a class or function, and whether it takes others too."""
    if isinstance(found.node, ast.FunctionDef):
        return _arguments(found.node, _documented(found.node)), found.node.args.kwarg is not None
    options: dict[str, Option] = {}
    is_open = False  # without any constructor, no options
    ancestors = _ancestors(found)
    for place, each in enumerate(ancestors):
        if isinstance(each, str):
            return tuple(options.values()), True
        constructor = _constructor(each.node)
        if constructor is not None:
            about = {**_documented(each.node), **_documented(constructor)}
            new, is_open = _arguments(constructor, about, method=True), constructor.args.kwarg is not None
        elif (decorator := _dataclass(each.node)) and "init=False" not in decorator:
            new, is_open = _fields(ancestors[place:]), any(isinstance(base, str) for base in ancestors[place:])
        else:
            continue
        options |= {option.name: option for option in new if option.name not in options}
        if constructor is None or not is_open:  # `**kwargs` are handed on to the next constructor
            break
    return _told(options.values(), ancestors), is_open


def _told(options: Iterable[Option], ancestors: Iterable[Ancestor]) -> Options:
    """Options with what a base says of them where the class itself says nothing."""
    about: dict[str, str] = {}
    for each in ancestors:
        if isinstance(each, Definition):
            about = {**_documented(each.node), **about}
    return tuple(option if option.about else replace(option, about=about.get(option.name, "")) for option in options)


@cache
def _facts(found: Definition) -> Mapping[str, Any]:
    """The class attributes whose values are written out, the nearest class's first; what is computed can't be read."""
    facts: dict[str, Any] = {}
    for each in _ancestors(found):
        for node in statements(each.node.body) if isinstance(each, Definition) else ():
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            for target in targets:
                if value is not None and isinstance(target, ast.Name):
                    facts.setdefault(target.id, _literal(value))
    return facts


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def _constructor(node: ast.AST) -> ast.FunctionDef | None:
    body = statements(node.body) if isinstance(node, ast.ClassDef) else ()
    named = (each for each in body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    return next((each for each in named if not is_overload(each)), None)


def _dataclass(node: ast.AST) -> str:
    """The decorator that makes a class a dataclass; empty where there is none."""
    decorators = node.decorator_list if isinstance(node, ast.ClassDef) else []
    named = [ast.unparse(each) for each in decorators]
    return next((each for each in named if re.fullmatch(r"(\w+\.)*dataclass(\(.*)?", each)), "")


def _ancestors(found: Definition, below: tuple[Definition, ...] = ()) -> list[Ancestor]:
    """A class and its bases in the order in which Python looks a method up (C3, python.org/2.3/mro)."""
    bases = [base for base in _bases(found) if base not in below]  # a class can't be its own base; a source can say so
    lines = [[base] if isinstance(base, str) else _ancestors(base, (*below, found)) for base in bases]
    merged: list[Ancestor] = [found]
    lines = [line for line in [*lines, list(bases)] if line]
    while lines:
        later = [each for line in lines for each in line[1:]]
        head = next((line[0] for line in lines if line[0] not in later), lines[0][0])
        merged.append(head)
        lines = [rest for line in lines if (rest := [each for each in line if each != head])]
    return merged


def _bases(found: Definition) -> Iterator[Ancestor]:
    for base in found.node.bases if isinstance(found.node, ast.ClassDef) else ():
        written = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
        name = full_name(written, found.module) or written
        if name not in NO_OPTIONS:
            yield locate(name) or written


def _arguments(function: ast.FunctionDef, about: Mapping[str, str], *, method: bool = False) -> Options:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(spec.defaults))
    pairs = list(zip(positional, [*missing, *spec.defaults], strict=True))[method:]
    pairs += list(zip(spec.kwonlyargs, spec.kw_defaults, strict=True))
    return tuple(_option(arg.arg, arg.annotation, default, about) for arg, default in pairs)


def _fields(ancestors: Iterable[Ancestor]) -> Options:
    """The fields of a dataclass, its bases' first; one that is written again keeps its place."""
    found: dict[str, Option] = {}
    for each in reversed(list(ancestors)):
        if isinstance(each, str) or not _dataclass(each.node):
            continue
        about = _documented(each.node)
        for node in statements(each.node.body):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found |= _field(node.target.id, node, about)
    return tuple(found.values())


def _field(name: str, node: ast.AnnAssign, about: Mapping[str, str]) -> dict[str, Option]:
    """The option that a field is; none where its constructor does not take it."""
    annotation = ast.unparse(node.annotation).strip("'\"").replace("typing.", "").replace("dataclasses.", "")
    if annotation.startswith("ClassVar") or annotation == "KW_ONLY":
        return {}
    if inner := re.fullmatch(r"InitVar\[(.*)\]", annotation):
        annotation = inner.group(1)
    default = ast.unparse(node.value) if node.value else None
    if isinstance(node.value, ast.Call) and ast.unparse(node.value.func).rpartition(".")[2] == "field":
        given = {each.arg: ast.unparse(each.value) for each in node.value.keywords}
        if given.get("init") == "False":
            return {}
        default = given.get("default", f"{given['default_factory']}()" if "default_factory" in given else None)
    return {name: Option(name, annotation, default, about.get(name, ""))}


def _option(name: str, annotation: ast.expr | None, default: ast.expr | None, about: Mapping[str, str]) -> Option:
    type_ = ast.unparse(annotation) if annotation else ""
    return Option(name, type_.strip("'\""), ast.unparse(default) if default else None, about.get(name, ""))


def _documented(node: ast.AST) -> dict[str, str]:
    """The one-line descriptions under `Args:` of a docstring."""
    doc = ast.get_docstring(node) if isinstance(node, ast.ClassDef | ast.FunctionDef) else None
    block = re.search(r"^(?:Args|Arguments):\n((?:[ \t]+.*\n?|\n)+)", doc or "", re.MULTILINE)
    if not block:
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in block.group(1).splitlines():
        if match := re.match(r"(?: {4}|\t)(\w+)(?: \([^)]*\))?:\s*(.*)", line):
            name, found[match.group(1)] = match.group(1), match.group(2)
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found
