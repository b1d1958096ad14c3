"""The code that a prediction is made by: a changed model never meets an old answer, and another reader's change costs
nothing."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from vlzoo.door.plugins import registry
from vlzoo.door.source import source_file


def code_hash(makers: Iterable[Any]) -> str:
    """A hash of the source that objects are made by: their classes' modules and all that these import, 16 hex digits.

    Followed inside vlzoo and inside plugins; of other packages the versions tell.
    """
    digest = hashlib.sha256()
    for module, file in sorted(code_of(makers).items()):
        digest.update(module.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def code_of(makers: Iterable[Any]) -> dict[str, Path]:
    """The modules that objects are made by, those they import included, with their files."""
    followed = {"vlzoo", *(part.target.partition(".")[0].partition(":")[0] for part in registry())}
    found: dict[str, Path] = {}
    left = {type(maker).__module__ for maker in makers}
    while left:
        name = left.pop()
        file = _file(name)
        if name in found or file is None or not _is_followed(name, file, followed):
            continue
        found[name] = file
        left.update(imported(name, file, file.stat().st_mtime_ns))
    return found


def _is_followed(name: str, file: Path, followed: set[str]) -> bool:
    # What a single-file plugin has beside itself belongs to no package; installed libraries lie in site-packages.
    own = name.partition(".")[0] in followed
    return own or ("site-packages" not in file.parts and not file.is_relative_to(Path(ast.__file__).parent))


def _file(name: str) -> Path | None:
    loaded = getattr(sys.modules.get(name), "__file__", None)
    file = Path(loaded) if loaded else source_file(name)
    return file if file is not None and file.suffix == ".py" and file.is_file() else None


@cache
def imported(name: str, file: Path, _changed: int) -> frozenset[str]:
    """The modules that a module imports, inside functions too, typing alone excepted; their packages included."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = {each for node in _running(tree) for each in _names(node, name, file)}
    return frozenset(whole for each in named for whole in _packages(each)) - {name}


def _running(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in _statements(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and _asks_for_typing(child.test)):
            yield from _running(child)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in a module or a statement, but for expressions: those are most of a tree, and import nothing."""
    for name in ("body", "handlers", "cases", "orelse", "finalbody"):
        yield from getattr(node, name, ())


def _asks_for_typing(test: ast.expr) -> bool:
    names = (getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(test))
    return any(name.endswith("TYPE_CHECKING") for name in names)


def _names(node: ast.Import | ast.ImportFrom, module: str, file: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    above = base[: len(base) - node.level + 1] if node.level else []
    origin = ".".join([*above, *([node.module] if node.module else [])])
    yield origin
    yield from (f"{origin}.{alias.name}" for alias in node.names)  # a name may be a module


def _packages(name: str) -> Iterator[str]:
    steps = name.split(".")
    yield from (".".join(steps[: n + 1]) for n in range(len(steps)))
