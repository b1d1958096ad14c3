"""The wheel is whole: built, installed beside two strangers' plugins into an empty environment, used from elsewhere.

The environment holds no torch: `list`, `show`, `check` and `doctor` must do without it. Nothing is downloaded: the few
light packages that vlzoo needs to start are copied from the environment that runs the tests.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

LIGHT = ("click", "pluggy", "pyyaml", "pydantic", "packaging")
FIXTURES = Path(__file__).parent / "fixtures" / "plugins"


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    """vlzoo's wheel, built from a copy of what git would hand out."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in ("vlzoo", "zoo_configs", "benchmarks"):
        shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    return build(source, made)


def build(source: Path, into: Path) -> Path:
    """Build a wheel with the hatchling that is installed; returns the file."""
    before = set(into.glob("*.whl"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = set(into.glob("*.whl")) - before
    return made


@pytest.fixture(scope="module")
def home(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel and the two plugins of tests/fixtures, without torch."""
    folder = tmp_path_factory.mktemp("home")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True, timeout=60)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    for name in needed(LIGHT):
        copy(name, site)
    wheels = [wheel]
    for name in ("vlzoo-trimmed", "vlzoo-broken"):
        shutil.copytree(FIXTURES / name, folder / name)
        wheels.append(build(folder / name, folder))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "venv/bin/python"),
        "install",
        "--no-index",
        "--no-deps",
    ]
    done = subprocess.run([*pip, *map(str, wheels)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def needed(names: tuple[str, ...]) -> set[str]:
    """The distributions, with all they require."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            lines = [Requirement(line) for line in importlib.metadata.requires(name) or ()]
            waiting += [each.name for each in lines if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def copy(name: str, site: Path) -> None:
    """Copy an installed distribution, file by file."""
    for file in importlib.metadata.files(name) or ():
        if ".." not in file.parts and file.locate().is_file():
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)


def vlzoo(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """`vlzoo ARGS` of the new environment, from a folder of its own."""
    elsewhere = home / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("VLZOO_", "PYTHON"))}
    env["VLZOO_CACHE_DIR"] = str(home / "cache")
    command = [str(home / "venv/bin/vlzoo"), *args]
    return subprocess.run(command, cwd=elsewhere, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_wheel_holds_the_recipes_and_the_published_numbers(wheel, root):
    import zipfile

    names = set(zipfile.ZipFile(wheel).namelist())
    recipes = {f"vlzoo/shipped/{file.relative_to(root)}" for file in (root / "zoo_configs").rglob("*.yaml")}
    assert recipes <= names
    assert "vlzoo/shipped/published.yaml" in names
    templates = {f"vlzoo/scaffold/templates/{file.name}" for file in (root / "vlzoo/scaffold/templates").iterdir()}
    assert templates <= names and len(templates) > 10
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "zoo_configs/"))]


def test_a_strangers_package_stands_in_the_list_beside_a_broken_one(home):
    done = vlzoo(home, "list")
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if "trimmed-itc" in line]
    assert line.split() == ["trimmed-itc", "ITC", "without", "its", "noisiest", "pairs", "vlzoo-trimmed", "0.1"]
    assert done.stderr == (
        "! broken did not load: vlzoo-broken 9.9: ModuleNotFoundError: "
        f"{plugin_file(home)}:1: No module named 'a_package_nobody_has'\n"
    )


def plugin_file(home: Path) -> Path:
    (file,) = (home / "venv").glob("lib/python*/site-packages/vlzoo_broken.py")
    return file


def test_the_strangers_package_is_at_most_thirty_lines_and_its_module_no_longer_than_the_smallest():
    files = [FIXTURES / "vlzoo-trimmed" / name for name in ("pyproject.toml", "vlzoo_trimmed/__init__.py")]
    lines = [line for file in files for line in file.read_text().splitlines() if line.strip()]
    assert len(lines) <= 30


def test_what_needs_no_torch_works_without_it(home):
    assert "keep  float  = 0.9  share of the pairs that count." in vlzoo(home, "show", "trimmed-itc").stdout
    doctor = vlzoo(home, "doctor")
    assert doctor.returncode == 1
    assert "! torch is missing -> pip install torch" in doctor.stdout
    assert json.loads(vlzoo(home, "list", "--json").stdout)["broken"][0]["distribution"] == "vlzoo-broken"


def test_a_shipped_recipe_is_found_checked_and_extended(home, root):
    name = "albef"
    assert vlzoo(home, "check", name).stdout == f"{name}: no mistakes\n"
    assert vlzoo(home, "show", name).stdout.count((root / f"zoo_configs/methods/{name}.yaml").read_text().rstrip()) == 1
    (home / "elsewhere").mkdir(exist_ok=True)
    (home / "elsewhere/mine.yaml").write_text(
        f"# mine\nextends: methods/{name}\nobjectives: {{trimmed-itc: {{keep: 0.8}}}}\n"
    )
    assert vlzoo(home, "check", "mine.yaml").stdout == "mine.yaml: no mistakes\n"


def test_the_published_numbers_are_found(home):
    code = "from vlzoo.resources import published; print(published()); print(published().stat().st_size)"
    command = [str(home / "venv/bin/python"), "-c", code]
    done = subprocess.run(command, cwd=home, env={}, capture_output=True, text=True, timeout=60, check=True)
    path, size = done.stdout.split()
    assert path.endswith("vlzoo/shipped/published.yaml")
    assert int(size) > 50_000


def test_what_the_light_commands_import_is_declared(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared = {Requirement(line).name for line in project["dependencies"]}
    assert set(LIGHT) <= declared
    bounds = [str(Requirement(line).specifier) for line in project["dependencies"]]
    assert all(bound.startswith(">=") and "," not in bound for bound in bounds)
