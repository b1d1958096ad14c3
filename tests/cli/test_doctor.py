"""`vlzoo doctor`."""

from __future__ import annotations

import json
import platform

import vlzoo


def test_the_environment_and_the_plugins(world):
    world.dist("vlzoo-trimmed", version="0.1")
    made = json.loads(world.run("doctor", "--json").stdout)
    assert made["environment"]["vlzoo"] == vlzoo.__version__
    assert made["environment"]["python"] == platform.python_version()
    mine = next(each for each in made["plugins"] if each["distribution"] == "vlzoo-trimmed")
    assert (mine["status"], mine["parts"], mine["hooks"]) == ("ok", 1, ["vlzoo_register"])


def test_a_good_state_is_exit_code_0_and_a_broken_plugin_1(world):
    world.dist("vlzoo-trimmed")
    good = world.run("doctor")
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "nothing is wrong")
    world.dist("vlzoo-bad", "1/0", version="2")
    bad = world.run("doctor")
    assert bad.returncode == 1
    assert "! vlzoo_bad did not load: vlzoo-bad 2: ZeroDivisionError" in bad.stdout
    assert "nothing is wrong" not in bad.stdout


def test_what_is_missing_is_named_with_the_command_that_installs_it(world):
    world.write("sitecustomize.py", MASK)
    done = world.run("doctor")
    assert done.returncode == 1
    assert "! timm is missing -> pip install timm" in done.stdout


MASK = """
import importlib.metadata as m

real = m.version

def version(name):
    if name == "timm":
        raise m.PackageNotFoundError(name)
    return real(name)

m.version = version
"""
