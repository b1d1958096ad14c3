"""What the tests fork behaves as what is started: exit codes, words, signals, and what it starts in turn."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

ENDS = {
    "pass": 0,
    "raise SystemExit(3)": 3,
    "raise SystemExit(True)": 1,
    "import sys; sys.exit('a mistake')": 1,
    "1 / 0": 1,
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": -signal.SIGTERM,
    "raise KeyboardInterrupt": -signal.SIGINT,
}
SHOWN = "import sys, os; print('torch' in sys.modules, os.environ.get('VLZOO_X'), sys.argv, os.getcwd(), __name__)"
BLOCKED = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
INSIDE = "import subprocess, sys; subprocess.run([sys.executable, *{words!r}], check=True)"


def python(forking, *words, **options):
    return forking.run([sys.executable, *words], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize("code", ENDS)
def test_it_ends_as_python_does(forking, code):
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    forked = python(forking, "-c", code)
    assert forked.returncode == started.returncode == ENDS[code]
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_imported_anew_by_it_and_by_what_it_starts(forking, tmp_path, inside):
    if not forking.FORKS:
        pytest.skip("Python is not forked here")
    words = ["-c", INSIDE.format(words=["-c", SHOWN])] if inside else ["-c", SHOWN, "a"]
    done = python(forking, *words, cwd=tmp_path, env={"VLZOO_X": "y"})
    assert done.stdout.split() == [
        "True",
        "y",
        *(["['-c']"] if inside else ["['-c',", "'a']"]),
        str(tmp_path),
        "__main__",
    ]


def test_no_signal_is_blocked_in_what_it_starts(forking):
    """A Python with a flag of its own is no fork, but a fresh one, started by one that is."""
    for words in (["-c", BLOCKED], ["-S", "-c", BLOCKED]):
        done = python(forking, "-c", INSIDE.format(words=words))
        assert done.stdout == "set()\n", done


def test_modules_of_tests_and_the_path_of_this_process_are_not_its_own(forking, tmp_path, monkeypatch):
    (tmp_path / "forked_help.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import forked_help  # noqa: F401

    assert python(forking, "-c", "import forked_help").returncode == 1
    (tmp_path / "forked_help.py").write_text("print('anew')\n")
    assert python(forking, "-c", "import forked_help", env={"PYTHONPATH": str(tmp_path)}).stdout == "anew\n"
