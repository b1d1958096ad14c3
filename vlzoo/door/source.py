"""Where a class or function is defined, found in source files: nothing is imported, so no torch is either."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vlzoo.errors import VlzooError


class Definition(NamedTuple):
    """A class or function, with the module and the file it stands in."""

    node: ast.ClassDef | ast.FunctionDef
    module: str
    file: Path


def source_file(module: str) -> Path | None:
    """The source of a module, found without importing it or its parents; None where it has none."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for root in spec.submodule_search_locations or ():
        stem = Path(root, *rest)
        for file in (stem / "__init__.py", stem.with_suffix(".py")):
            if file.is_file():
                return file
    return None


def definition(module: str, attribute: str) -> Definition | None:
    """The class or function called `attribute` (`Outer.Inner` too) in `module`, through re-exports and aliases.

    Raises:
        VlzooError: a source on the way is not Python.
    """
    return _find(module, attribute, set())


def full_name(name: str, module: str) -> str | None:
    """What `name`, as written in `module`, is called from outside: `nn.Module` is `torch.nn.Module`.

    None where nothing in the module binds it. Of several bindings (`try: ... except ImportError: ...`) the first whose
    source can be found counts.
    """
    names = list(_full_names(name, module))
    if len(names) < 2:  # nothing to choose from: no source is read
        return names[0] if names else None
    return next((each for each in names if _locate(each, set())), names[0])


def locate(dotted: str) -> Definition | None:
    """The definition behind a full name, `package.module.Class`; errors as `definition`."""
    return _locate(dotted, set())


def statements(body: list[ast.stmt], *, typing_only: bool = False) -> Iterator[ast.stmt]:
    """The statements of a module or class, those inside `if`, `try` and `with` too.

    What stands under `if TYPE_CHECKING` is not there when the program runs; it is left out unless `typing_only`.
    """
    for node in body:
        yield node
        if isinstance(node, ast.If):
            test = ast.unparse(node.test).replace("typing.", "")
            yield from statements(node.body if test != "TYPE_CHECKING" or typing_only else [], typing_only=typing_only)
            yield from statements(node.orelse if test != "not TYPE_CHECKING" else [], typing_only=typing_only)
        elif isinstance(node, ast.Try):
            handled = [each for handler in node.handlers for each in handler.body]
            yield from statements([*node.body, *node.orelse, *handled, *node.finalbody], typing_only=typing_only)
        elif isinstance(node, ast.With):
            yield from statements(node.body, typing_only=typing_only)


def _find(module: str, attribute: str, seen: set[tuple[str, str]]) -> Definition | None:
    file = source_file(module)
    if file is None or (module, attribute) in seen:
        return None
    seen.add((module, attribute))
    node = _walk(_bindings(file), attribute.split("."))
    if node is not None:
        return Definition(node, module, file)
    found = (_locate(name, seen) for name in _full_names(attribute, module))
    return next((each for each in found if each), None)


def _locate(dotted: str, seen: set[tuple[str, str]]) -> Definition | None:
    steps = dotted.split(".")
    for cut in range(len(steps) - 1, 0, -1):  # the longest path that is a module; the rest lies inside it
        if found := _find(".".join(steps[:cut]), ".".join(steps[cut:]), seen):
            return found
    return None


def _walk(body: list[ast.stmt], path: list[str]) -> ast.ClassDef | ast.FunctionDef | None:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == path[0] and not is_overload(node):
            return node if len(path) == 1 else _walk(list(statements(node.body)), path[1:])
    return None


def is_overload(node: ast.ClassDef | ast.FunctionDef) -> bool:
    """Whether a function is there for type checkers alone."""
    return any(ast.unparse(each).rpartition(".")[2] == "overload" for each in node.decorator_list)


def _full_names(name: str, module: str) -> Iterator[str]:
    """Everything `name` may be called from outside, in the order of the source; star imports last."""
    file = source_file(module)
    if file is None:
        return
    head, _, rest = name.partition(".")
    inside = f".{rest}" if rest else ""
    stars = []
    for node in _bindings(file):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == head:
            yield f"{module}.{name}"
        elif isinstance(node, ast.Import):
            yield from (f"{each}{inside}" for each in _imported(node, head))
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, module, file)
            stars += [origin for alias in node.names if alias.name == "*" and not head.startswith("_")]
            yield from (f"{origin}.{a.name}{inside}" for a in node.names if (a.asname or a.name) == head)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute):
            other = ast.unparse(node.value)
            if any(isinstance(each, ast.Name) and each.id == head for each in node.targets) and other != name:
                yield f"{module}.{other}{inside}"
    yield from (f"{origin}.{name}" for origin in stars)


def _imported(node: ast.Import, head: str) -> Iterator[str]:
    """What `head` means after `import a.b` (then it is `a`) or `import a.b as head`."""
    for alias in node.names:
        if alias.asname == head:
            yield alias.name
        elif alias.asname is None and alias.name.partition(".")[0] == head:
            yield head


def _origin(node: ast.ImportFrom, module: str, file: Path) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - (node.level - 1)]
    return ".".join([*base, node.module] if node.module else base)


@cache
def _bindings(file: Path) -> list[ast.stmt]:
    """The statements of a file that may bind a name.

    Raises:
        VlzooError: it is not Python.
    """
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError) as error:
        raise VlzooError(
            f"not Python: {error}", where=str(file), fix="mend the file or reinstall the plugin"
        ) from error
    # A module that hands out names when asked (PEP 562) tells type checkers what they are.
    lazy = any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in body)
    return list(statements(body, typing_only=lazy))
