"""A part's options, read from its source without running it: no torch for `vlzoo show` and `vlzoo check`."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vlzoo.door.parts import FUNCTIONS, Option, Part
from vlzoo.errors import UnknownName, VlzooError, did_you_mean

Definition = ast.ClassDef | ast.FunctionDef
_DEPTH = 8


@dataclass(frozen=True)
class Schema:
    """The options a part takes.

    Attributes:
        options: in the order of the signature.
        open: whether it takes options beyond these (`**kwargs`, or a source that can't be read).
        doc: the docstring's first paragraph.
        where: `file:line` of the definition; empty where it was not found.
    """

    options: tuple[Option, ...]
    open: bool = False
    doc: str = ""
    where: str = ""

    @property
    def names(self) -> list[str]:
        """The names of the options."""
        return [option.name for option in self.options]


def schema_of(part: Part) -> Schema:
    """The options of a part: as registered, else as its constructor's signature says."""
    module, _, attribute = part.target.partition(":")
    found = _definition(module, attribute)
    if found is None:
        return Schema(part.options or (), open=part.options is None)
    node, file = found
    where = f"{file}:{node.lineno}"
    doc = (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
    if part.options is not None or part.kind in FUNCTIONS:
        return Schema(part.options or (), doc=doc, where=where)
    options, is_open = _signature(node, module, _DEPTH)
    return Schema(options, is_open, doc, where)


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


def _signature(node: Definition, module: str, depth: int) -> tuple[tuple[Option, ...], bool]:
    """The options of a class or function, and whether it takes others too."""
    if isinstance(node, ast.FunctionDef):
        return _arguments(node, _documented(node)), node.args.kwarg is not None
    about = _documented(node)
    constructor = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if constructor is not None:
        options = _arguments(constructor, {**about, **_documented(constructor)})
        if constructor.args.kwarg is None:
            return options, False
        inherited, is_open = _inherited(node, module, depth)
        names = {option.name for option in options}
        return (*options, *(option for option in inherited if option.name not in names)), is_open
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return _fields(node, about), False
    return _inherited(node, module, depth)


def _inherited(node: ast.ClassDef, module: str, depth: int) -> tuple[tuple[Option, ...], bool]:
    """The options of the first base class whose source can be found; a class without one takes none."""
    for base in node.bases if depth else ():
        target = _resolve(ast.unparse(base), module)
        # torch.nn.Module takes anything and refuses it later: no options, and its long source need not be parsed.
        ours = target is not None and target[0].partition(".")[0] != "torch"
        found = _definition(*target) if target and ours else None
        if found is not None and target is not None:
            return _signature(found[0], target[0], depth - 1)
    return (), False


def _arguments(function: ast.FunctionDef, about: Mapping[str, str]) -> tuple[Option, ...]:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    if positional and positional[0].arg in ("self", "cls"):
        positional = positional[1:]
    missing: list[ast.expr | None] = [None] * max(0, len(positional) - len(spec.defaults))
    pairs = list(zip(positional, [*missing, *spec.defaults][-len(positional) :] if positional else [], strict=False))
    pairs += list(zip(spec.kwonlyargs, spec.kw_defaults, strict=True))
    return tuple(_option(arg.arg, arg.annotation, default, about) for arg, default in pairs)


def _fields(node: ast.ClassDef, about: Mapping[str, str]) -> tuple[Option, ...]:
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    return tuple(_option(n.target.id, n.annotation, n.value, about) for n in fields if isinstance(n.target, ast.Name))


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


def _definition(module: str, attribute: str) -> tuple[Definition, Path] | None:
    """The class or function called `attribute` in `module`, following one re-export after another."""
    for _ in range(_DEPTH):
        file = source_file(module)
        body = _parsed(file).body if file else []
        node = _walk(body, attribute.split("."))
        if node is not None and file is not None:
            return node, file
        target = _resolve(attribute, module)
        if target is None or target == (module, attribute):
            return None
        module, attribute = target
    return None


def _walk(body: list[ast.stmt], path: list[str]) -> Definition | None:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == path[0]:
            return node if len(path) == 1 else _walk(node.body, path[1:])
    return None


def _resolve(name: str, module: str) -> tuple[str, str] | None:
    """Where `name` as used in `module` comes from, as module and attribute."""
    file = source_file(module)
    if file is None:
        return None
    head, _, rest = name.partition(".")
    for node in _parsed(file).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, name
        if isinstance(node, ast.ImportFrom):
            origin = _absolute(node, module, file)
            for alias in node.names:
                if (alias.asname or alias.name) == head:
                    return (f"{origin}.{alias.name}", rest) if rest else (origin, alias.name)
    return None


def _absolute(node: ast.ImportFrom, module: str, file: Path) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - (node.level - 1)]
    return ".".join([*base, node.module] if node.module else base)


@cache
def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise VlzooError(
            f"not Python: {error}", where=str(file), fix="mend the file or reinstall the plugin"
        ) from error


def source_file(module: str) -> Path | None:
    """The source of a module, found without importing it or its parents; None where it has none."""
    top, *rest = module.split(".")
    try:
        spec: Any = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for root in spec.submodule_search_locations or ():
        stem = Path(root, *rest)
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                return file
    return None
