"""Whatever a plugin does wrong is said about that plugin, and a good one beside it works."""

from __future__ import annotations

import json
import re

import pytest

HEAD = "from vlzoo import hookimpl\n"


def registering(*lines: str) -> str:
    return HEAD + "@hookimpl\ndef vlzoo_register(registry):\n" + "\n".join(f"    {line}" for line in lines) + "\n"


BROKEN = {
    "raises at import": ("raise RuntimeError('out of luck')", "RuntimeError:"),
    "needs a missing package": ("import a_package_nobody_has", "No module named 'a_package_nobody_has'"),
    "calls sys.exit": ("import sys; sys.exit(3)", "SystemExit:"),
    "syntax error": ("def vlzoo_register(:", "SyntaxError: invalid syntax (vlzoo_bad.py, line 1)"),
    "is not UTF-8": ("# coding: nonsense", "SyntaxError: unknown encoding"),
    "misspells its hook": (
        HEAD + "@hookimpl\ndef vlzoo_registr(registry): pass",
        "there is no hook 'vlzoo_registr'\n  -> did you mean 'vlzoo_register'?",
    ),
    "forgets the mark": ("def vlzoo_register(registry): pass", "vlzoo_register is not marked as a hook"),
    "misspells and forgets": ("def vlzoo_registre(registry): pass", "implements no hook, but it has 'vlzoo_registre'"),
    "implements nothing": ("x = 1", "vlzoo_bad implements no hook"),
    "wants other arguments": (
        HEAD + "@hookimpl\ndef vlzoo_register(registry, config): pass",
        "Argument(s) {'config'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "registers half and raises": (
        registering("registry.objective('half', 'a.b:C', summary='half')", "raise KeyError('the other half')"),
        "KeyError:",
    ),
    "wants a newer core": (registering("registry.needs('99.1')"), "written for vlzoo 99.1 or later; this is"),
    "was written for another plugin API": (
        "VLZOO_API = 2\ndef vlzoo_registre(registry): pass",
        "written for version 2 of the plugin API, and this vlzoo",
    ),
    "was written for a plugin API long ago": (
        "VLZOO_API = 0\n" + registering("registry.detector('m', 'a:B', summary='x')"),
        "written for version 0 of the plugin API, and this vlzoo",
    ),
    "states no plugin API that can be": (
        "VLZOO_API = '1'\n" + registering("registry.detector('m', 'a:B', summary='x')"),
        "VLZOO_API is '1', not a whole number\n  -> write VLZOO_API = 1",
    ),
    "takes a built-in name": (
        registering("registry.augmentation('weak', 'a.b:C', summary='mine')"),
        "augmentation 'weak' is built into vlzoo and can't be taken over",
    ),
    "registers twice": (
        registering("for _ in range(2): registry.detector('same', 'a.b:C', summary='x')"),
        "detector 'same' is registered twice",
    ),
    "names no target": (registering("registry.detector('m', dict, summary='x')"), "<class 'dict'> can't be the target"),
    "misnames its target": (registering("registry.detector('m', 'a.b.C', summary='x')"), "'a.b.C' can't be the target"),
    "has no recipe": (registering("registry.method('m', 'a.b:C', summary='x')"), "give it as the text 'package:folder"),
    "has a unicode name": (registering("registry.detector('größe', 'a:B', summary='x')"), "'größe' can't be the name"),
    "has an empty name": (registering("registry.detector('', 'a:B', summary='x')"), "'' can't be the name of a part"),
    "has a name in capitals": (
        registering("registry.detector('Mine', 'a:B', summary='x')"),
        "'Mine' can't be the name",
    ),
    "has no summary": (registering("registry.detector('m', 'a:B', summary=' ')"), "detector 'm' has no summary"),
    "an unknown kind": (
        registering("registry.objectiv('m', 'a:B', summary='x')"),
        "no kind of part called 'objectiv'\n  -> did you mean 'objective'?",
    ),
    "misspells an argument": (registering("registry.detector('m', 'a:B', sumary='x')"), "unexpected keyword argument"),
    "a paper that is no text": (
        registering("registry.detector('m', 'a:B', summary='x', paper=7)"),
        "7 can't be its paper",
    ),
    "options that are none": (
        registering("registry.detector('m', 'a:B', summary='x', options=['k'])"),
        "'k' can't be an",
    ),
}


@pytest.mark.parametrize(("module", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_named_rolled_back_and_harms_nobody(world, module, reason):
    world.dist("vlzoo-bad", module, version="9.9")
    world.dist("vlzoo-good")
    done = world.run("list")
    assert done.returncode == 0
    assert "trimmed-itc" in done.stdout
    assert "vlzoo-bad" not in done.stdout
    assert done.stderr.startswith("! vlzoo_bad did not load: vlzoo-bad 9.9: ")
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", [BROKEN["raises at import"][0], BROKEN["registers half and raises"][0]])
def test_doctor_and_json_carry_the_same_reason(world, module):
    world.dist("vlzoo-bad", module, version="9.9")
    doctor = world.run("doctor", "--json")
    assert doctor.returncode == 1
    (bad,) = [each for each in json.loads(doctor.stdout)["plugins"] if each["distribution"] == "vlzoo-bad"]
    (same,) = json.loads(world.run("list", "--json").stdout)["broken"]
    assert bad["status"] == "broken"
    assert bad["reason"] == same["reason"]
    assert (bad["version"], bad["where"]) == ("9.9", "vlzoo-bad 9.9")


def test_the_reason_names_the_line_that_raised(world):
    world.dist("vlzoo-bad", "\n\nraise RuntimeError('out of luck')")
    assert "vlzoo_bad.py:1: out of luck" in world.run("list").stderr


def test_doctor_says_which_plugin_api_each_was_written_for(world):
    world.dist("vlzoo-says", "VLZOO_API = 1\n" + registering("registry.detector('m', 'a:B', summary='x')"))
    world.dist("vlzoo-silent", registering("registry.detector('n', 'a:B', summary='x')"))
    made = json.loads(world.run("doctor", "--json").stdout)
    known = {each["distribution"]: each for each in made["plugins"]}
    assert (known["vlzoo-says"]["api"], known["vlzoo-silent"]["api"]) == (1, None)
    assert made["environment"]["plugin API"] == "1"


NOISY = {
    "print": "print('hello')",
    "what waits to be written": "import sys; sys.__stdout__.write('hello')",
    "when the program ends": "import atexit; atexit.register(print, 'hello')",
    "the real standard output": "import sys; sys.__stdout__.write('hello\\n'); sys.__stdout__.flush()",
    "below Python": "import os; os.write(1, b'hello\\n')",
    "a child process": "import subprocess; subprocess.run(['echo', 'hello'])",
}


@pytest.mark.parametrize("line", NOISY.values(), ids=NOISY.keys())
def test_what_a_plugin_prints_stays_out_of_json(world, line):
    world.dist("vlzoo-noisy", line + registering("registry.detector('m', 'a:B', summary='x')").join(["\n", ""]))
    done = world.run("list", "--json")
    assert "m" in [part["name"] for part in json.loads(done.stdout)["parts"]]


def test_doctor_names_a_plugin_that_prints(world):
    world.dist("vlzoo-noisy", "print('hello')\n" + registering("registry.detector('m', 'a:B', summary='x')"))
    assert "prints on import: 'hello'" in world.run("doctor").stdout


def test_doctor_names_a_plugin_that_imports_torch(world):
    world.write("torch.py", "")  # a stand-in: the real one takes seconds
    world.dist("vlzoo-heavy", "import torch\n" + registering("registry.detector('m', 'a:B', summary='x')"))
    assert "imports torch when it registers" in world.run("doctor").stdout


def test_a_hook_may_have_another_name_in_its_module(world):
    module = (
        HEAD
        + "@hookimpl(specname='vlzoo_register')\ndef mine(registry):\n    registry.detector('m', 'a:B', summary='x')"
    )
    world.dist("vlzoo-renamed", module)
    assert re.search(r"\n  m +x +vlzoo-renamed", world.run("list", "detector").stdout)


def test_a_part_that_cannot_be_called_is_one_message_when_it_is_built(world):
    world.dist(
        "vlzoo-number", "NUMBER = 7\n" + registering("registry.detector('m', 'vlzoo_number:NUMBER', summary='x')")
    )
    call = "from vlzoo.door.plugins import registry; registry().build('detector', 'm')"
    done = world.python("-c", call)
    assert "PluginError: vlzoo-number 0.1: detector 'm' could not be loaded" in done.stderr
    assert "its type is int, neither a class nor a function" in done.stderr
