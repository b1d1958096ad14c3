"""The house rules that a machine can check, over the code that ships: CONTRIBUTING.md says why they hold."""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    [*(ROOT / "vlzoo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
)
RESULTS = sorted(file for file in (ROOT / "benchmarks" / "results").iterdir() if file.suffix in (".json", ".md"))
PLACE = re.compile(r"""["'\s=](/work/|/tmp/|/root/|/home/)""")
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
    assert not PLACE.search(text)


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.name)
def test_a_result_names_no_folder_of_the_machine_that_made_it(file):
    assert not PLACE.search(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_only_public_functions_of_libraries_are_used(file):
    """No `from timm... import _helper`, no `import transformers._private`: private names move."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        origin = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        path = f"{origin}.{'.'.join(names)}" if origin else ".".join(names)
        if names and not path.startswith(("vlzoo", "__future__")) and not getattr(node, "level", 0):
            assert not re.search(r"(^|\.)_[a-z]", path), path


def runtime(node: ast.AST) -> Iterator[ast.AST]:
    """Everything in a file but what stands under `if TYPE_CHECKING`; imports inside functions count."""
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for each in child.orelse if typing_only and isinstance(child, ast.If) else [child]:
            yield each
            yield from runtime(each)


def imported(tree: ast.Module) -> Iterator[str]:
    """The full names that a file imports when it runs: modules, and what is taken out of them."""
    for node in runtime(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package(folder: Path) -> dict[str, ast.Module]:
    """The modules of a package by name."""
    files = {file: file.relative_to(folder.parent).with_suffix("") for file in sorted(folder.rglob("*.py"))}
    parsed = {".".join(name.parts): ast.parse(file.read_text(encoding="utf-8")) for file, name in files.items()}
    return {name.removesuffix(".__init__"): tree for name, tree in parsed.items()}


def graph(modules: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Module -> the modules of the same package that it imports."""
    found = {}
    for name, tree in modules.items():
        targets = (each if each in modules else each.rpartition(".")[0] for each in imported(tree))
        found[name] = {each for each in targets if each in modules and each != name}
    return found


def circle(imports: dict[str, set[str]]) -> list[str]:
    """The modules of one circle of imports, the first again at the end; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def lone_functions(modules: dict[str, ast.Module]) -> dict[str, str]:
    """Files that hold one function and nothing else, with the one other file that imports them."""
    imports, found = graph(modules), {}
    for name, tree in modules.items():
        held = [node for node in tree.body if isinstance(node, Function | ast.ClassDef)]
        users = [user for user, targets in imports.items() if name in targets]
        if len(held) == 1 and isinstance(held[0], Function) and len(users) == 1:
            found[name] = users[0]
    return found


def test_no_two_files_import_each_other():
    assert circle(graph(package(ROOT / "vlzoo"))) == []


LONE = {
    "vlzoo.metrics.metasum": "a published figure with a source of its own",
    "vlzoo.bench.score": "the scoring of files, which imports no torch",
    "vlzoo.weights.merge": "the work of a sub-command, which imports torch when it is called",
}
"""Files of one function that one other file imports and that are an idea of their own, each with its reason."""


def test_a_file_of_one_function_has_several_readers_or_a_reason():
    found = lone_functions(package(ROOT / "vlzoo"))
    assert found.keys() == LONE.keys()


def test_circles_and_lone_functions_are_found(tmp_path):
    files = {
        "a": "from sample import b\n\ndef one(): ...\ndef two(): ...",
        "b": "def later():\n    import sample.c",
        "c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sample.a import one\n",
    }
    (tmp_path / "sample").mkdir()
    for name, text in files.items():
        (tmp_path / "sample" / f"{name}.py").write_text(text)
    modules = package(tmp_path / "sample")
    assert circle(graph(modules)) == []
    assert lone_functions(modules) == {"sample.b": "sample.a"}
    (tmp_path / "sample/c.py").write_text("def last():\n    from sample.a import one")
    modules = package(tmp_path / "sample")
    assert set(circle(graph(modules))) == {"sample.a", "sample.b", "sample.c"}
    assert lone_functions(modules) == {"sample.b": "sample.a", "sample.c": "sample.b"}


def test_what_is_imported_is_required_and_what_is_required_is_imported():
    """Over the package as it ships; extras count as required, those of developers do not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "dev"}
    needed = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    optional = {canonicalize_name(Requirement(line).name) for lines in extras.values() for line in lines}
    supplied = packages_distributions()
    used = set()
    for tree in package(ROOT / "vlzoo").values():
        tops = {name.partition(".")[0] for name in imported(tree)} - {"vlzoo", "__future__", *sys.stdlib_module_names}
        used |= {canonicalize_name(dist) for top in tops for dist in supplied.get(top, [top])}
    assert sorted(used - needed - optional - OPTIONAL_HERE) == []
    assert sorted(needed - used) == []


OPTIONAL_HERE = {"eccv-caption"}
"""What an agreement with other people's code imports, where it is installed."""
