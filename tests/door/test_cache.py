"""A slow import costs once, is named, and is believed only while nothing changed."""

from __future__ import annotations

import json
import os

import pytest

# Leaves a mark each time it is imported.
MARKING = """
from pathlib import Path
from vlzoo import hookimpl

with Path("imports").open("a") as file:
    file.write("x")

@hookimpl
def vlzoo_register(registry):
    registry.mixer("blender", "a:B", summary="mixes")
"""


def imports(world) -> int:
    file = world.folder / "imports"
    return len(file.read_text()) if file.exists() else 0


def test_the_second_call_does_not_import_the_plugin(world):
    world.dist("vlzoo-marking", MARKING)
    first, second = world.run("list", "--json"), world.run("list", "--json")
    assert imports(world) == 1
    assert first.stdout == second.stdout
    assert "blender" in second.stdout


def test_a_slow_import_is_remembered_and_named_by_doctor(world):
    world.dist("vlzoo-slow", "import time; time.sleep(0.6)\n" + MARKING)
    for _ in range(2):
        doctor = world.run("doctor").stdout
        assert "s to import (remembered until its files change)" in doctor
    assert imports(world) == 1


def test_a_changed_file_is_imported_again(world):
    world.dist("vlzoo-marking", MARKING)
    world.run("list")
    world.write("vlzoo_marking.py", MARKING.replace('"blender"', '"mincer"'))
    assert "mincer" in world.run("list").stdout
    assert imports(world) == 2


def test_a_changed_file_of_the_same_size_is_imported_again(world):
    world.dist("vlzoo-marking", MARKING)
    world.run("list")
    file = world.folder / "vlzoo_marking.py"
    os.utime(file, ns=(1, 1))
    world.run("list")
    assert imports(world) == 2


def test_another_version_is_imported_again(world):
    world.dist("vlzoo-marking", MARKING, version="0.1")
    world.run("list")
    (world.folder / "vlzoo_marking-0.1.dist-info").rename(world.folder / "vlzoo_marking-0.2.dist-info")
    world.write("vlzoo_marking-0.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: vlzoo-marking\nVersion: 0.2\n")
    world.run("list")
    assert imports(world) == 2


def test_a_requirement_added_later_is_checked(world):
    world.dist("vlzoo-marking", MARKING)
    world.run("list")
    world.dist("vlzoo-marking", MARKING, requires=["vlzoo>=99"])
    os.utime(world.folder / "vlzoo_marking.py", ns=(1, 1))
    assert "needs vlzoo >=99" in world.run("list").stderr


def test_a_broken_plugin_is_not_remembered(world):
    world.dist("vlzoo-marking", "import os\nif os.environ.get('BREAK'): raise RuntimeError\n" + MARKING)
    assert "RuntimeError" in world.run("list", BREAK="1").stderr
    assert "blender" in world.run("list").stdout


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}', "null"])
def test_a_spoilt_cache_costs_time_and_nothing_else(world, text):
    world.dist("vlzoo-marking", MARKING)
    world.run("list")
    (cache,) = (world.folder / "cache").glob("plugins-*.json")
    cache.write_text(text)
    done = world.run("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert imports(world) == 2


def test_a_cache_of_another_shape_is_read_anew(world):
    world.dist("vlzoo-marking", MARKING)
    world.run("list")
    (cache,) = (world.folder / "cache").glob("plugins-*.json")
    entries = json.loads(cache.read_text())
    for entry in entries.values():
        entry["loaded"] = {"parts": [{"kind": "mixer"}]}
    cache.write_text(json.dumps(entries))
    assert "blender" in world.run("list").stdout
    assert imports(world) == 2


def test_a_cache_folder_that_cannot_be_written_is_no_error(world):
    world.dist("vlzoo-marking", MARKING)
    world.write("a_file", "")
    done = world.run("list", VLZOO_CACHE_DIR=str(world.folder / "a_file"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "blender" in done.stdout


def test_the_cache_can_be_switched_off(world):
    world.dist("vlzoo-marking", MARKING)
    for _ in range(2):
        world.run("list", VLZOO_NO_CACHE="1")
    assert imports(world) == 2


def test_registered_options_survive_being_remembered(world):
    module = """
    from vlzoo import Option, hookimpl

    @hookimpl
    def vlzoo_register(registry):
        options = [Option("keep", "float", "0.9", "share kept"), Option("name", "str")]
        registry.mixer("blender", "a:B", summary="mixes", options=options)
    """
    world.dist("vlzoo-optioned", module)
    first, second = world.run("show", "blender").stdout, world.run("show", "blender").stdout
    assert first == second
    assert "keep  float  = 0.9     share kept" in second
    assert "name  str    required" in second
