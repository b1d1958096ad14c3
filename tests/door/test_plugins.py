"""The door as its users meet it: every plugin a distribution of its own, every call a process of its own."""

from __future__ import annotations

import json
import re

import pytest

import vlzoo

SECOND = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.objective("trimmed-itc", "other.loss:Trimmed", summary="another one of that name")
    registry.detector("blender", "other.mix:Blender", summary="mixes")
"""


def parts(world, **env) -> dict:
    done = world.run("list", "--json", **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_smallest_plugin_is_listed_with_its_distribution_and_version(world):
    world.dist("vlzoo-trimmed", version="1.4")
    found = [part for part in parts(world)["parts"] if part["name"] == "trimmed-itc"]
    assert found == [
        {
            "kind": "objective",
            "name": "trimmed-itc",
            "qualified": "vlzoo-trimmed:trimmed-itc",
            "summary": "ITC without its noisiest pairs",
            "distribution": "vlzoo-trimmed",
            "version": "1.4",
            "target": "my_package.loss:TrimmedContrast",
            "paper": "",
        }
    ]
    line = next(line for line in world.run("list", "objective").stdout.splitlines() if "trimmed-itc" in line)
    assert line.endswith("  vlzoo-trimmed 1.4")


def test_two_strangers_with_one_name_are_both_shown_and_neither_gets_the_bare_name(world):
    world.dist("vlzoo-trimmed", version="0.1")
    world.dist("aaa-first", SECOND, version="2.0")
    listed = world.run("list", "objective").stdout
    assert "vlzoo-trimmed:trimmed-itc" in listed
    assert "aaa-first:trimmed-itc" in listed
    recipe = world.write("mine.yaml", "objectives:\n  trimmed-itc: {}\n")
    refused = world.run("check", recipe.name)
    assert refused.returncode == 2
    assert "aaa-first 2.0 and vlzoo-trimmed 0.1" in refused.stderr
    assert "say which: 'aaa-first:trimmed-itc' or 'vlzoo-trimmed:trimmed-itc'" in refused.stderr
    chosen = world.write("chosen.yaml", "objectives:\n  trimmed:\n    part: vlzoo-trimmed:trimmed-itc\n")
    assert "supplied by both" not in world.run("check", chosen.name).stderr


def test_a_plugin_that_shares_one_name_keeps_its_others(world):
    world.dist("vlzoo-trimmed")
    world.dist("aaa-first", SECOND)
    assert "blender" in [part["name"] for part in parts(world)["parts"]]


@pytest.mark.parametrize("name", ["vlzoo-trimmed", "vlzoo_trimmed", "VLZOO.Trimmed"])
def test_a_plugin_can_be_left_out(world, name):
    world.dist("vlzoo-trimmed")
    assert "trimmed-itc" not in [part["name"] for part in parts(world, VLZOO_DISABLE_PLUGINS=f"nobody,{name}")["parts"]]
    doctor = world.run("doctor", VLZOO_DISABLE_PLUGINS=f"nobody,{name}").stdout
    assert "left out" in doctor
    assert "VLZOO_DISABLE_PLUGINS names 'nobody', and there is no such plugin" in doctor


def test_the_core_cannot_be_left_out(world):
    names = [part["name"] for part in parts(world, VLZOO_DISABLE_PLUGINS="vlzoo,core")["parts"]]
    assert "weak" in names


WATCHER = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_watch(event, values):
    print("seen", event, values["step"])
"""


def watching(*events: str) -> str:
    """A program that tells observers of a run what a training tells them."""
    calls = [
        f"door().notify('vlzoo_watch', event={event!r}, run=Path('runs/x'), values={{'step': 3}})" for event in events
    ]
    return "\n".join(["from pathlib import Path", "from vlzoo.door.plugins import door", *calls, "print('on')"])


def test_trace_shows_every_hook_call_on_standard_error(world):
    """The core implements two hooks, the plugin one; then two events are observed by one of two plugins."""
    world.dist("vlzoo-trimmed", version="0.7")
    world.dist("vlzoo-watcher", WATCHER, version="0.5")
    done = world.python(
        "-c",
        watching("start", "step"),
        VLZOO_TRACE="1",
        VLZOO_DISABLE_PLUGINS="vlzoo-observers,gradcam,softmask,tcl,vlmixer,xvlm",
    )
    version = vlzoo.__version__
    assert done.stderr.splitlines() == [
        f"vlzoo trace: vlzoo_register() -> vlzoo {version} [core]",
        f"vlzoo trace: vlzoo_commands() -> vlzoo {version} [core]",
        "vlzoo trace: vlzoo_register() -> vlzoo-trimmed 0.7 [vlzoo_trimmed]",
        "vlzoo trace: vlzoo_register() -> nobody",
        "vlzoo trace: vlzoo_watch(event=start, run=runs/x) -> vlzoo-watcher 0.5 [vlzoo_watcher]",
        "vlzoo trace: vlzoo_watch(event=step, run=runs/x) -> vlzoo-watcher 0.5 [vlzoo_watcher]",
    ]
    assert done.stdout == "seen start 3\nseen step 3\non\n"


def test_trace_as_a_switch_and_where_nobody_watches(world):
    world.dist("vlzoo-trimmed", version="0.7")
    done = world.run("--trace", "list", "--json")
    assert "vlzoo trace: vlzoo_register() -> vlzoo-trimmed 0.7 [vlzoo_trimmed]\n" in done.stderr
    assert json.loads(done.stdout)["broken"] == []
    done = world.python("-c", watching("start"), VLZOO_TRACE="1", VLZOO_DISABLE_PLUGINS="vlzoo-observers")
    assert done.stderr.endswith("vlzoo trace: vlzoo_watch(event=start, run=runs/x) -> nobody\n")
    assert "trace" not in world.python("-c", watching("start")).stderr


def test_a_missing_name_is_explained_by_the_plugin_that_did_not_load(world):
    world.dist("vlzoo-trimmed", "raise RuntimeError('no')", version="3")
    done = world.run("show", "trimmed-itc")
    assert done.returncode == 2
    assert "these plugins did not load (`vlzoo doctor` says why): vlzoo-trimmed 3" in done.stderr


COMMAND = """
import click
from vlzoo import hookimpl

@click.command("hello", short_help="say hello")
def hello():
    click.echo("hello from a plugin")

@hookimpl
def vlzoo_commands(group):
    group.add_command(hello)
"""


def test_a_plugin_can_add_a_command(world):
    world.dist("vlzoo-hello", COMMAND, version="0.2")
    assert world.run("hello").stdout == "hello from a plugin\n"
    assert "say hello (vlzoo-hello 0.2)" in world.run("--help").stdout


FALLING = COMMAND.replace('click.echo("hello from a plugin")', "{}['nothing']")


def test_what_a_plugins_command_raises_is_one_message_and_its_traceback_is_there_for_who_asks(world):
    world.dist("vlzoo-hello", FALLING, version="0.2")
    done = world.run("hello")
    assert done.returncode == 2
    said, fix = done.stderr.splitlines()
    assert re.fullmatch(r"vlzoo: vlzoo-hello 0\.2, .*vlzoo_hello\.py:6: KeyError: 'nothing'", said)
    assert fix.startswith("  -> mend it there, ") and "`vlzoo --trace ...`" in fix
    traced = world.run("--trace", "hello")
    assert traced.returncode == 2 and "Traceback (most recent call last):" in traced.stderr
    assert traced.stderr.endswith(done.stderr)


def test_a_command_of_the_cores_cannot_be_taken_over(world):
    world.dist("vlzoo-hello", COMMAND.replace('"hello"', '"list"'), version="0.2")
    done = world.run("list")
    assert done.returncode == 0
    assert "vlzoo-hello 0.2: the command 'list' is built into vlzoo and can't be taken over" in done.stderr
    assert "hello from a plugin" not in done.stdout


def test_two_plugins_with_one_command_name_both_and_say_how_to_choose(world):
    world.dist("vlzoo-hello", COMMAND, version="0.2")
    world.dist("vlzoo-hallo", COMMAND, version="0.3")
    done = world.run("hello")
    assert done.returncode == 2
    assert "supplied by both vlzoo-hallo 0.3 and vlzoo-hello 0.2" in done.stderr
    assert world.run("hello", VLZOO_DISABLE_PLUGINS="vlzoo-hallo").stdout == "hello from a plugin\n"


def test_a_watcher_that_raises_is_named_once_and_stops_neither_the_run_nor_others(world):
    """One that raises stands before the one that does not, one behind it."""
    for name, line in (("aaa-fire", 'raise ValueError("disk on fire")'), ("zzz-exit", "raise SystemExit(3)")):
        world.dist(name, f"from vlzoo import hookimpl\n@hookimpl\ndef vlzoo_watch(event):\n    {line}\n")
    world.dist("vlzoo-watcher", WATCHER)
    done = world.python("-c", watching("start", "step", "finish"))
    assert done.stdout == "seen start 3\nseen step 3\nseen finish 3\non\n"
    assert done.stderr.splitlines() == [
        "! aaa-fire 0.1 [aaa_fire] is left out: vlzoo_watch: ValueError('disk on fire')",
        "! zzz-exit 0.1 [zzz_exit] is left out: vlzoo_watch: SystemExit(3)",
    ]


SLOW = """
import time
time.sleep(0.6)
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.detector("blender", "a:B", summary="mixes")
"""


def test_a_slow_plugin_is_named_with_its_seconds_by_list_and_doctor(world):
    world.dist("vlzoo-slow", SLOW, version="0.3")
    world.dist("vlzoo-trimmed")
    listed = world.run("list", "detector")
    (line,) = listed.stderr.splitlines()
    named = re.fullmatch(r"! vlzoo_slow took (\d+\.\d) s to load, .*: vlzoo-slow 0.3", line)
    assert named and 0.6 <= float(named[1]) < 30
    assert "blender" in listed.stdout
    doctor = json.loads(world.run("doctor", "--json").stdout)
    (slow,) = [each for each in doctor["plugins"] if each["distribution"] == "vlzoo-slow"]
    assert slow["seconds"] > 0.6
    assert re.match(r"took \d+\.\d s to load", slow["remarks"][0])
    assert re.search(r"vlzoo-slow 0.3 +ok +1 parts; took \d+\.\d s to load", world.run("doctor").stdout)


def test_a_single_file_can_add_a_command(world):
    world.write("mine.py", COMMAND)
    assert world.run("--plugin", "mine.py", "hello").stdout == "hello from a plugin\n"
    assert "say hello (mine.py (file))" in world.run("--plugin", "mine.py", "--help").stdout
    traced = world.run("--trace", "--plugin", "mine.py", "hello")
    assert traced.stdout == "hello from a plugin\n"
    assert "vlzoo trace: vlzoo_commands() -> mine.py (file) [mine]" in traced.stderr
