"""`vlzoo list`."""

from __future__ import annotations

import json

import pytest

import vlzoo
from vlzoo.door.parts import KINDS


def test_every_part_has_a_line_a_kind_and_a_distribution_with_its_version(world):
    done = world.run("list", "--json")
    parts = json.loads(done.stdout)["parts"]
    assert parts
    for part in parts:
        assert part["kind"] in KINDS
        assert part["summary"]
        assert part["version"]
    assert {part["version"] for part in parts if part["distribution"] == "vlzoo"} == {vlzoo.__version__}
    text = world.run("list").stdout
    assert all(part["name"] in text for part in parts)


def test_one_kind(world):
    lines = world.run("list", "augmentation").stdout.splitlines()
    assert lines[0] == "augmentation  (an image with its texts and boxes to a changed one)"
    assert [line.split()[0] for line in lines[1:] if "vlzoo " in line] == ["centre", "plain", "strong", "weak"]
    assert {part["kind"] for part in json.loads(world.run("list", "fusion", "--json").stdout)["parts"]} == {"fusion"}


def test_a_kind_without_parts_says_so(world):
    found = {part["kind"] for part in json.loads(world.run("list", "--json").stdout)["parts"]}
    empty = [kind for kind in KINDS if kind not in found]
    if not empty:
        pytest.skip("every kind has parts here")
    assert world.run("list", empty[0]).stdout == f"no {empty[0]} is registered; a plugin can supply one\n"


def test_a_summary_wraps_into_its_column(world):
    world.dist(
        "vlzoo-long",
        "from vlzoo import hookimpl\n@hookimpl\ndef vlzoo_register(registry):\n"
        "    registry.detector('blender', 'a:B', summary='word ' * 30)\n",
    )
    lines = world.run("list", "detector", COLUMNS="60").stdout.splitlines()
    assert max(len(line) for line in lines[1:]) <= 60
    assert len(lines) > 3
