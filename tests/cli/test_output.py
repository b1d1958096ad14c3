"""Tables that fit, JSON that every reader takes, and streams that go away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vlzoo.cli.output import json_text, table
from vlzoo.screen import width

ROWS = [
    ("name", "what it is about", "where it comes from"),
    ("a_long_name.of_a.key", "words " * 20, "zoo_configs/methods/albef-tiny.yaml:21"),
    ("\u6771\u4eac", "x", "here"),
]


@pytest.mark.parametrize("columns", [70, 80, 120])
@pytest.mark.parametrize("wrap", [None, 1])
def test_a_table_fits_the_window(monkeypatch, capsys, columns, wrap):
    monkeypatch.setenv("COLUMNS", str(columns))
    table(ROWS, indent=2, wrap=wrap)
    lines = capsys.readouterr().out.splitlines()
    assert lines and max(map(width, lines)) <= columns
    assert width(lines[0].partition("what")[0]) == width(lines[-1].partition("x")[0])  # wide characters are counted


def test_what_no_terminal_reads_is_not_parted(monkeypatch, capsys):
    """`vlzoo show --resolved | grep KEY` finds whole keys and values."""
    monkeypatch.delenv("COLUMNS", raising=False)
    table([["k" * 80, "v" * 80]])
    assert capsys.readouterr().out == "k" * 80 + "  " + "v" * 80 + "\n"


def test_json_is_json():
    """RFC 8259 knows no NaN: a reader that does not either must take it."""
    value = {"loss": float("nan"), "of": [float("inf"), -float("inf"), np.float32(0.5), np.nan], "path": Path("a")}
    value |= {"array": np.array([1.0, np.nan]), "count": np.int64(3), 7: (1, None, True), "half": "\ud83d", "é": "é"}
    text = json_text(value)

    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(text, parse_constant=refuse) == {
        "loss": None,
        "of": [None, None, 0.5, None],
        "path": "a",
        "array": [1.0, None],
        "count": 3,
        "7": [1, None, True],
        "half": "\ud83d",
        "é": "é",
    }
    assert "é" in text and json_text("é", ascii_=True) == '"\\u00e9"'


def piped(world, *args: str, out, **env: str) -> subprocess.CompletedProcess[bytes]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("VLZOO_")}
    known |= {"VLZOO_CACHE_DIR": str(world.folder / "cache"), **env}
    command = [sys.executable, "-m", "vlzoo", *args]
    return subprocess.run(command, env=known, stdout=out, stderr=subprocess.PIPE, timeout=60, check=False)


PRINTS = [["list"], ["list", "--json"], ["show", "itm"], ["doctor"], ["data", "list"], ["check", "albef"], ["--help"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("args", PRINTS, ids=" ".join)
def test_a_full_disk_is_told(world, args):
    """`vlzoo list > /dev/full`: a message, exit code 2, no traceback."""
    with Path("/dev/full").open("w") as full:
        done = piped(world, *args, out=full)
    assert done.returncode == 2
    assert done.stderr.count(b"standard output can't be written: No space left on device") == 1
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes there")
@pytest.mark.parametrize("args", [["list"], ["show", "albef", "--resolved"], ["list", "nonsense"]], ids=" ".join)
def test_a_reader_that_has_gone_changes_nothing(world, args):
    """`vlzoo list | head -1`: the command ends with the code that it would have had, and says nothing of it."""
    read, write = os.pipe()
    os.close(read)
    done = piped(world, *args, out=write)
    os.close(write)
    assert done.returncode == (2 if "nonsense" in args else 0)
    assert b"roken" not in done.stderr and b"Traceback" not in done.stderr


def test_what_can_not_be_encoded_is_escaped(world):
    """A terminal of ASCII, and a name that is no UTF-8: no traceback, and JSON stays JSON."""
    done = piped(world, "list", "--json", out=subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and json.loads(done.stdout)["parts"]
    assert piped(world, "show", "albef", out=subprocess.PIPE, PYTHONIOENCODING="ascii").returncode == 0
    done = piped(world, "show", os.fsdecode(b"\xe9"), out=subprocess.PIPE)
    assert done.returncode == 2 and b"no part called" in done.stderr
