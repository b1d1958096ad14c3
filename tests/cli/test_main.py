"""The command group: help, unknown commands, errors without tracebacks, and no torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import vlzoo
from vlzoo.cli.main import COMMANDS

LIGHT = {
    "help": ["--help"],
    "list": ["list"],
    "list json": ["list", "--json"],
    "show part": ["show", "objective/itc"],
    "show part json": ["show", "weak", "--json"],
    "doctor": ["doctor"],
    "doctor json": ["doctor", "--json"],
}


def call(world, args: list[str], *forbidden: str):
    """Run a command in a fresh interpreter and say which of the forbidden modules it imported."""
    code = (
        "import sys; from vlzoo.cli.main import run; "
        f"code = run({args!r}); "
        f"print(code, [m for m in {list(forbidden)!r} if m in sys.modules], file=sys.stderr)"
    )
    return world.python("-c", code).stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("args", LIGHT.values(), ids=LIGHT.keys())
def test_listing_showing_and_the_doctor_import_neither_torch_nor_pydantic(world, args):
    assert call(world, args, "torch", "pydantic", "numpy", "rich", "transformers") == "0 []"


def test_checking_and_resolving_import_no_torch(world):
    world.write("r.yaml", "model: {image_encoder: timm, text_encoder: bert, fusion: merged}\nobjectives: {itc: {}}\n")
    assert call(world, ["check", "r.yaml"], "torch", "timm", "transformers") == "0 []"
    assert call(world, ["show", "r.yaml", "--resolved"], "torch", "timm", "transformers") == "0 []"


def test_help_names_every_command_and_imports_none(world):
    done = world.run("--help")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    assert call(world, ["--help"], *(f"vlzoo.cli.{name}" for name in COMMANDS)) == "0 []"


def test_help_names_a_plugin_that_did_not_load(world):
    world.dist("vlzoo-bad", "1/0", version="7")
    assert "! vlzoo_bad did not load: vlzoo-bad 7: ZeroDivisionError" in world.run("--help").stdout


def test_the_version(world):
    assert world.run("--version").stdout == f"vlzoo, version {vlzoo.__version__}\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["lst"], "no command called 'lst'\n  -> did you mean 'list'?"),
        (["LIST"], "did you mean 'list'?"),
        (["list", "objectives"], "no kind of part called 'objectives'\n  -> did you mean 'objective'?"),
        (["show", "ITC"], "no part called 'ITC'\n  -> did you mean 'itc'?"),
        (["show", "objective/itk"], "no objective called 'itk'"),
        (["show"], "Missing argument 'PART|RECIPE|RUN'"),
        (["check"], "Missing argument 'RECIPE...'"),
        (["list", "--jsn"], "No such option"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_code_2(world, args, words):
    done = world.run(*args)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_command_shows_the_help(world):
    done = world.run()
    assert "Commands:" in done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no such terminals there")
@pytest.mark.parametrize(
    ("env", "bold"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_a_terminal_that_takes_no_escape_codes_is_sent_none(env, bold):
    """NO_COLOR and TERM=dumb, on a terminal."""
    import pty

    shown, terminal = pty.openpty()
    known = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM", "COLUMNS")}
    command = [sys.executable, "-m", "vlzoo", "list", "fusion"]
    done = subprocess.run(command, env={**known, **env}, stdout=terminal, stderr=terminal, timeout=60, check=False)
    os.close(terminal)
    text = os.read(shown, 65536)
    os.close(shown)
    assert done.returncode == 0 and b"cross_attention" in text
    assert (b"\x1b" in text) is bold
