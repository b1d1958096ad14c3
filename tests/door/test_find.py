"""What counts as a plugin: an entry point of a distribution, or a file that `--plugin` names."""

from __future__ import annotations

import re

import pytest

GOOD = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.detector("blender", "mine:Blender", summary="mixes")

class Blender:
    def __init__(self, *, keep: float = 0.9): self.keep = keep
"""


@pytest.mark.parametrize(
    ("requires", "fits"),
    [
        ("vlzoo>=99", False),
        ("vlzoo<0.0.1", False),
        ("VLZoo == 99.0", False),
        ("vlzoo>=0.0.1", True),
        ("vlzoo>=0.1.0.0", True),
        ("vlzoo>=0.1.1", False),
        ("vlzoo>=0.10", False),
        ("vlzoo-gradcam>=99", True),
        ("vlzoo", True),
        ("vlzoo>=99; extra == 'all'", True),
        ("vlzoo>=99; python_version < '3'", True),
        ("something-else>=99", True),
        ("this is no requirement", True),
    ],
)
def test_a_plugin_for_another_core_is_refused_before_it_is_imported(world, requires, fits):
    world.dist("vlzoo-blender", GOOD, version="0.4", requires=[requires])
    done = world.run("list", "detector")
    assert done.returncode == 0
    assert ("blender" in done.stdout) == fits
    assert ("! vlzoo_blender did not load: vlzoo-blender 0.4: needs vlzoo" in done.stderr) == (not fits)


@pytest.mark.parametrize("points", ["[vlzoo]\nno equals sign\n", "[vlzoo]\nblender =\n"])
def test_entry_points_that_cannot_be_read_are_the_fault_of_their_package_alone(world, points):
    world.dist("vlzoo-blender", GOOD, points=points)
    done = world.run("list")
    assert done.returncode == 0
    assert "weak" in done.stdout
    assert "vlzoo-blender 0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_package_without_a_name_or_version_is_still_shown(world):
    world.dist("vlzoo-blender", GOOD)
    world.write("vlzoo_blender-0.1.dist-info/METADATA", "Metadata-Version: 2.1\n")
    done = world.run("list", "detector")
    assert re.search(r"blender +mixes +unknown \?", done.stdout)


def test_what_comes_first_on_the_path_hides_the_other(world, tmp_path_factory):
    world.dist("vlzoo-blender", GOOD, version="2.0")
    hidden = type(world)(tmp_path_factory.mktemp("hidden"))
    hidden.dist("vlzoo-blender", GOOD, version="1.0")
    done = world.run("list", "detector", PYTHONPATH=f"{world.folder}:{hidden.folder}")
    assert "vlzoo-blender 2.0" in done.stdout
    assert "vlzoo-blender 1.0" not in done.stdout
    assert done.stderr == ""


def test_a_single_file_is_a_plugin(world):
    world.write("mine.py", GOOD)
    done = world.run("--plugin", "mine.py", "list", "detector")
    assert "mine.py (file)" in done.stdout
    shown = world.run("--plugin", "mine.py", "show", "blender").stdout
    assert "keep  float  = 0.9" in shown
    build = "import os; os.environ['VLZOO_PLUGIN_FILES'] = 'mine.py'; from vlzoo.door.plugins import registry; "
    done = world.python("-c", build + "print(registry().build('detector', 'blender', keep=0.5).keep)")
    assert done.stdout == "0.5\n", done.stderr


def test_a_single_file_may_be_edited_between_two_calls(world):
    world.write("mine.py", GOOD)
    world.run("--plugin", "mine.py", "list")
    world.write("mine.py", GOOD.replace('"blender"', '"mincer"'))
    assert "mincer" in world.run("--plugin", "mine.py", "list").stdout


FILES = {
    "missing": ("gone.py", None, "there is no file 'gone.py'"),
    "a folder": ("folder", None, "there is no file 'folder'"),
    "not Python": ("notes.txt", "hello", "'notes.txt' is not a Python file"),
    "a name no module can have": ("my-loss.py", GOOD, "'my-loss' can't be the name of a module"),
    "the name of another module": ("json.py", GOOD, "there is another module called 'json'"),
    "a syntax error": ("mine.py", "def (", "SyntaxError: invalid syntax (mine.py, line 1)"),
    "raises": ("mine.py", "\n1/0", "ZeroDivisionError: "),
    "exits": ("mine.py", "raise SystemExit('bye')", "SystemExit: "),
    "no hook": ("mine.py", "x = 1", "mine implements no hook"),
    "null bytes": ("mine.py", "x = '\0'", "source code string cannot contain null bytes"),
}


@pytest.mark.parametrize(("name", "text", "reason"), FILES.values(), ids=FILES.keys())
def test_a_file_that_was_asked_for_must_load(world, name, text, reason):
    (world.folder / "folder").mkdir()
    if text is not None:
        world.write(f"sub/{name}", text)
    path = f"sub/{name}" if text is not None else name
    done = world.run("--plugin", path, "list")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"vlzoo: {name} (file): ")
    assert reason in done.stderr.replace("sub/", "")
    assert "Traceback" not in done.stderr
