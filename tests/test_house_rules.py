"""The house rules that a machine can check, over the code that ships: CONTRIBUTING.md says why they hold."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    [*(ROOT / "vlzoo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
)
IDS = [str(file.relative_to(ROOT)) for file in FILES]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(file: Path) -> Iterator[tuple[Function, int]]:
    """Every function with its lines of code: without its docstring, blank lines and comments."""
    lines = file.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, Function):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            span = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            span -= set(range(first.lineno, (first.end_lineno or 0) + 1)) if documented else set()
            yield node, sum(1 for n in span if lines[n - 1].strip() and not lines[n - 1].strip().startswith("#"))


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_a_file_and_its_functions_can_be_held_in_the_head(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300
    assert [node.name for node, length in functions(file) if length > 60] == []


def test_the_median_function_is_short():
    lengths = [length for file in FILES if "tests" not in file.parts for _, length in functions(file)]
    assert statistics.median(lengths) <= 12


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_nothing_is_left_for_later_and_no_machine_is_named(file):
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    assert not re.search(r"""["'\s](/work/|/tmp/|/root/|/home/)""", text)


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_only_public_functions_of_libraries_are_used(file):
    """No `from timm... import _helper`, no `import transformers._private`: private names move."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        origin = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        path = f"{origin}.{'.'.join(names)}" if origin else ".".join(names)
        if names and not path.startswith(("vlzoo", "__future__")) and not getattr(node, "level", 0):
            assert not re.search(r"(^|\.)_[a-z]", path), path
