"""`vlzoo new`: what it writes is a package that loads, passes its own tests, trains and is measured."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from vlzoo.door.parts import KINDS, Owner, Part
from vlzoo.door.plugins import registry
from vlzoo.door.registry import Registry
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.scaffold import package
from vlzoo.scaffold.package import check_name, kind_of, kinds, write_package

KINDS_WRITTEN = kinds()

WARM = """
from vlzoo.door.plugins import registry
from vlzoo.testing.case import Case
from vlzoo.testing.imports import watch

watch([Case.of(part.kind, part.qualified) for part in registry() if part.owner.dist.startswith("vlzoo-new-")])
"""
"""Looks at all modules in two processes, where each package by itself would take two of its own."""


def install(folder: Path, site: Path) -> None:
    """Put a package onto a path as pip would: its modules, and metadata made of its pyproject.toml."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["vlzoo"]
    for name in set(points.values()):
        shutil.copytree(folder / name, site / name)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    needed = "".join(f"Requires-Dist: {line}\n" for line in project["dependencies"])
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head + needed)
    (info / "entry_points.txt").write_text("[vlzoo]\n" + "".join(f"{n} = {m}\n" for n, m in points.items()))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A package of each kind, and all of them on one path, `site`."""
    folder = tmp_path_factory.mktemp("new")
    (folder / "site").mkdir()
    for kind in KINDS_WRITTEN:
        name = f"new-{kind.replace('_', '-')}"
        write_package(kind, name, folder / name)
        install(folder / name, folder / "site")
    (folder / "site" / "warm.py").write_text(WARM)
    return folder


def python(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """`python ARGS` in a folder, with its packages installed and none of the project's own plugins."""
    root = Path(__file__).resolve().parents[2]
    env = {key: value for key, value in os.environ.items() if not key.startswith("VLZOO_")}
    env |= {"PYTHONPATH": f"{folder / 'site'}{os.pathsep}{root}", "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False
    )


def test_there_is_a_template_of_what_people_write():
    wanted = {"objective", "image_encoder", "text_encoder", "fusion", "augmentation", "rows", "detector", "data"}
    assert wanted | {"task", "adapter", "method"} <= set(KINDS_WRITTEN) <= set(KINDS)


def test_every_package_loads_and_is_listed(written):
    done = python(written, "-m", "vlzoo", "list", "--json")
    listed = json.loads(done.stdout)
    ours = {(part["kind"], part["name"]) for part in listed["parts"] if part["distribution"].startswith("vlzoo-new-")}
    assert listed["broken"] == []
    own = {(kind, f"new-{kind.replace('_', '-')}") for kind in KINDS_WRITTEN}
    assert ours == own | {("objective", "new-method-loss")}


def test_every_package_passes_its_own_tests(written):
    tests = [str(written / f"new-{kind.replace('_', '-')}" / "tests") for kind in KINDS_WRITTEN]
    done = python(
        written, "-m", "pytest", "-q", "-p", "warm", "-p", "no:cacheprovider", "--import-mode=importlib", *tests
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"{len(KINDS_WRITTEN) + 1} passed" in done.stdout  # a method has a test of its loss, too


def test_every_recipe_has_no_mistakes(written):
    recipes = sorted(file for file in written.glob("*/recipe.yaml"))
    assert len(recipes) >= 7
    code = "import sys; from vlzoo.config.check import load; [load(name) for name in sys.argv[1:]]"
    done = python(written, "-c", code, *map(str, recipes), "new-method")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", KINDS_WRITTEN)
def test_it_is_formatted_and_says_how_it_is_used(written, kind):
    folder = written / f"new-{kind.replace('_', '-')}"
    readme = (folder / "README.md").read_text()
    assert "pip install -e ." in readme and f"vlzoo show {kind}/new-" in readme and "$" not in readme
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "120", "--select", "E,F,I,UP,B", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    form = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "120", "--check", str(folder)]
    assert subprocess.run(form, capture_output=True, check=False).returncode == 0


def lines(*files: Path) -> int:
    return sum(1 for file in files for line in file.read_text().splitlines() if line.strip())


def test_the_objectives_package_is_at_most_forty_lines_and_its_module_twenty(written):
    folder = written / "new-objective"
    python_files = sorted(folder.rglob("*.py"))
    assert [file.name for file in python_files] == ["test_new_objective.py", "__init__.py", "new_objective.py"]
    assert lines(folder / "pyproject.toml", *python_files) <= 40
    assert lines(folder / "vlzoo_new_objective" / "new_objective.py") <= 20


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("itc", "objective 'itc' is built into vlzoo\n  -> choose another name: 'my-itc' (taken: answer,"),
        ("My Loss", "-> use lower-case words joined by '-' or '_', a letter first: 'my-loss'"),
        ("3d", "'3d' can't be the name of a part with a package of its own\n"),
        ("class", "a letter first: 'my-class'"),
        ("a.b", "a letter first: 'a-b'"),
        ("", "a letter first: 'my-objective'"),
    ],
)
def test_a_name_that_can_t_be_is_refused_with_one_that_can(name, said):
    with pytest.raises(VlzooError) as refused:
        check_name("objective", name)
    assert said in str(refused.value)


def test_a_method_whose_loss_would_take_a_name_is_refused(monkeypatch):
    """Its package registers NAME-loss, too."""
    there = Part("objective", "mine-loss", "foreign:Loss", "", Owner("vlzoo-foreign", "1", ""))
    monkeypatch.setattr(package, "registry", lambda: Registry([there]))
    check_name("objective", "mine")
    with pytest.raises(VlzooError, match="objective 'mine-loss' is supplied by vlzoo-foreign 1\n  -> choose another"):
        check_name("method", "mine")


def test_a_package_that_is_installed_is_not_written_again():
    with pytest.raises(VlzooError, match="a package called 'vlzoo_gradcam' is installed already"):
        check_name("objective", "gradcam")
    assert registry().find("token_mask", "gradcam")  # whose package it is


def test_kinds_are_known_by_their_nearest_names():
    assert kind_of("image encoder") == kind_of("Image-Encoder") == "image_encoder"
    with pytest.raises(UnknownName, match="no kind of part called 'objetive'\n  -> did you mean 'objective'"):
        kind_of("objetive")
    with pytest.raises(UnknownName, match="there is no template of the kind agreement"):
        kind_of("agreement")


def imported(text: str) -> set[str]:
    """The names that a module imports, wherever in it."""
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {each.asname or each.name for node in found for each in node.names}


@pytest.mark.parametrize("kind", KINDS_WRITTEN)
def test_a_class_never_hides_what_its_module_imports(written, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(package, "registry", Registry)  # no name is taken
    module = f"new_{kind}"
    text = (written / module.replace("_", "-") / f"vlzoo_{module}" / f"{module}.py").read_text()
    hidden = [each for each in imported(text) if each[0].isupper()]
    for name in sorted({*hidden, "Loss", "True"}):
        words = "-".join(re.findall("[A-Z][a-z]*", name)).lower()
        folder, _ = write_package(kind, words, tmp_path / words)
        text = (folder / f"vlzoo_{words.replace('-', '_')}" / f"{words.replace('-', '_')}.py").read_text()
        made = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
        assert set(made) <= {f"{name}Part"} and not imported(text) & {*made}


def test_what_is_there_is_left_alone_and_nothing_half_written_stays(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").write_text("mine")
    with pytest.raises(VlzooError, match="is there already\n  -> choose another --out"):
        write_package("objective", "mine", tmp_path / "there")
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["mine"]
    (tmp_path / "file").write_text("")
    with pytest.raises(VlzooError, match="the package can't be written"):
        write_package("objective", "mine", tmp_path / "file" / "below")

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(VlzooError, match="no room on the disk for the package"):
        write_package("objective", "mine", tmp_path / "new")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "there"]
