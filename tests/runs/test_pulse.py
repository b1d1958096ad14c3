"""Signs of life: who is gone, who hangs, and that nobody is blamed who only waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from vlzoo.errors import DataError
from vlzoo.processes import Share
from vlzoo.runs.pulse import Pulse, Sign


@pytest.fixture
def signs(tmp_path):
    """Writes what other processes said."""

    def write(rank: int, **said) -> Sign:
        now = time.time()
        sign = replace(Sign(rank, os.uname().nodename, os.getpid(), "step", 7, now, now), **said)
        (tmp_path / f"{rank}.json").write_text(json.dumps(asdict(sign)))
        return sign

    return write


def pulse_of(folder, doing="step", **options):
    pulse = Pulse(folder, Share(0, 3), patience=options.pop("patience", 10))
    pulse.does(doing, 7)
    pulse.sign = replace(pulse.sign, since=time.time() - 60)
    return pulse


def test_a_silent_process_hangs(tmp_path, signs):
    signs(1)
    signs(2, beat=time.time() - 30)
    assert "process 2 (pid" in (said := pulse_of(tmp_path).hung()) and "no sign of life for 30 s" in said
    assert "process 1" not in said and "at step 7" in said


@pytest.mark.parametrize(
    ("mine", "others", "named"),
    [
        ("step", "reading data", True),
        ("step", "saving", True),
        ("step", "step", False),  # both wait in the same exchange, perhaps for a third
        ("step", "measuring", False),  # that may take as long as it likes
        ("waiting", "saving", False),
        ("reading data", "saving", False),
    ],
)
def test_who_is_busy_with_something_else_keeps_the_others_waiting(tmp_path, signs, mine, others, named):
    signs(1, doing=others, since=time.time() - 40)
    said = pulse_of(tmp_path, mine).hung()
    assert (f"process 1 (pid {os.getpid()}" in said and f"has been {others} for 40 s" in said) == named
    assert pulse_of(tmp_path, mine, patience=50).hung() == ""


def test_an_exchange_that_will_not_end_is_told_by_all(tmp_path, signs):
    """All are in one step for longer than patience; where one is in another step it is on its way."""
    signs(1, since=time.time() - 40)
    signs(2, since=time.time() - 30)
    assert pulse_of(tmp_path).hung() == "all processes have been in step 7 for 30 s"
    assert pulse_of(tmp_path, patience=35).hung() == ""
    signs(2, step=6, since=time.time() - 30)
    assert pulse_of(tmp_path).hung() == ""


def test_who_ended_is_gone_with_its_reason(tmp_path, signs):
    signs(1)
    signs(2, doing="ended", why="TrainingError: a loss is nan")
    assert pulse_of(tmp_path).gone().endswith("at step 7) is gone: TrainingError: a loss is nan")


def test_a_process_that_is_no_more_is_gone_at_once(tmp_path, signs):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    signs(1)
    signs(2, pid=ended.pid)
    began = time.monotonic()
    assert f"process 2 (pid {ended.pid}" in pulse_of(tmp_path).gone() and time.monotonic() - began < 2


def test_signs_are_written_and_the_last_says_why(tmp_path):
    folder = tmp_path / "processes"
    pulse = Pulse(folder, Share(1, 2), patience=5)
    pulse.__enter__()
    pulse.does("saving", 3)
    time.sleep(1.3)
    held = json.loads((folder / "1.json").read_text())
    assert (held["doing"], held["step"], held["pid"]) == ("saving", 3, os.getpid())
    pulse.__exit__(ValueError, ValueError("no\nmore"), None)
    held = json.loads((folder / "1.json").read_text())
    assert (held["doing"], held["why"]) == ("ended", "ValueError: no")


def test_one_process_writes_nothing(tmp_path):
    with Pulse(tmp_path / "processes", Share(), patience=5) as pulse:
        assert pulse.others() == [] and pulse.hung() == ""
    assert not (tmp_path / "processes").exists()


def test_this_process_ends_some_time_after_another_is_gone(tmp_path, signs, monkeypatch):
    """On a GPU no exchange says so; while the reason may still come by another way, it waits."""
    monkeypatch.setattr("vlzoo.runs.pulse.FOUND_S", 0.8)
    said: list[str] = []
    with Pulse(tmp_path, Share(0, 2), patience=60, end=said.append):
        signs(1, doing="ended", why="TrainingError: a loss is nan")
        time.sleep(1.3)
        assert said == []
        time.sleep(2.5)
    assert len(said) == 1 and said[0].endswith("is gone: TrainingError: a loss is nan")


def test_this_process_ends_when_another_hangs(tmp_path, signs):
    said: list[str] = []
    with Pulse(tmp_path, Share(0, 2), patience=1, end=said.append):
        signs(1, beat=time.time() - 30)
        time.sleep(1.5)
    assert len(said) == 1 and "process 1" in said[0]


def test_who_was_asked_to_end_has_not_failed(tmp_path, signs):
    """Ctrl-C reaches all: nobody is blamed for ending by it. A killed process, and one with an error, are."""
    signs(1, doing="ended", why="KeyboardInterrupt: SIGINT")
    signs(2, doing="ended")
    assert pulse_of(tmp_path).failed() == ""
    signs(2, doing="ended", why="DataError: no such picture")
    assert pulse_of(tmp_path).failed().endswith("is gone: DataError: no such picture")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    signs(2, pid=ended.pid)
    assert f"process 2 (pid {ended.pid}" in pulse_of(tmp_path).failed()


def test_what_the_leading_process_ends_by_it_tells(tmp_path, signs):
    """An error of one's own only where it has the same; that another is gone in any case."""
    signs(0, doing="ended", why="DataError: no such picture")
    pulse = Pulse(tmp_path, Share(1, 2), patience=10)
    assert pulse.told() and pulse.told(DataError("no such picture"))
    began = time.monotonic()
    assert not pulse.told(DataError("another one")) and time.monotonic() - began < 10
    signs(0)
    assert not pulse.told()
