"""`vlzoo doctor`."""

from __future__ import annotations

import json
import platform
from importlib import metadata

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


def test_what_is_needed_is_what_the_distribution_says(world):
    """A vlzoo whose metadata state other requirements than the real one's stands before it on the path."""
    world.write("vlzoo-0.1.0.dist-info/METADATA", STATED)
    world.write("vlzoo-0.1.0.dist-info/entry_points.txt", "[vlzoo]\ncore = vlzoo.builtin\n")
    done = world.run("doctor")
    assert done.returncode == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("! ")]
    assert faults == [
        "! a-package-nobody-has is missing -> pip install a-package-nobody-has",
        f"! click {metadata.version('click')} does not fit -> pip install 'click>=999'",
    ]
    environment = json.loads(world.run("doctor", "--json").stdout)["environment"]
    assert environment["a-package-nobody-has"] == "MISSING"
    assert environment["another-one"] == "not installed (optional)"
    assert not {"for-developers", "for-another-python", "torch"} & set(environment)


STATED = """
Metadata-Version: 2.1
Name: vlzoo
Version: 0.1.0
Requires-Dist: a-package-nobody-has>=1
Requires-Dist: click>=999
Requires-Dist: pluggy>=1
Requires-Dist: for-another-python; python_version < "3"
Provides-Extra: more
Requires-Dist: another-one; extra == "more"
Provides-Extra: dev
Requires-Dist: for-developers; extra == "dev"
"""

MASK = """
import importlib.metadata as m

real = m.version

def version(name):
    if name == "timm":
        raise m.PackageNotFoundError(name)
    return real(name)

m.version = version
"""
