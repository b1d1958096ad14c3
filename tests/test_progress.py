"""How long work shows itself: in a log, on a terminal, and once as a forecast."""

from __future__ import annotations

import doctest
import io
import os
import re
import sys

import pytest

from vlzoo import progress as module
from vlzoo.progress import Progress, clock, most_memory, size_text


@pytest.fixture
def now(monkeypatch):
    """The clock: a list of one number of seconds."""
    at = [0.0]
    monkeypatch.setattr("vlzoo.progress.time.perf_counter", lambda: at[0])
    return at


def test_the_examples_work():
    found = doctest.testmod(module)
    assert found.failed == 0 and found.attempted == 3


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1:00 min"), (200, "3:20 min"), (3900, "1:05 h"), (float("inf"), "?")],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


def test_sizes_are_readable():
    assert (size_text(8_863_000_000), size_text(57_000_000)) == ("8.9 GB", "57 MB")
    assert most_memory() > 1_000_000


def test_the_last_line_is_always_shown(capsys):
    progress = Progress("training", 3)
    for step in (1, 2, 3):
        progress.update(step, {"itc": 1.23456})
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("training: 3/3 steps, ") and lines[0].endswith("0 s left  itc 1.23")


def test_a_log_has_a_line_every_fifteen_seconds(now, capsys):
    progress = Progress("training", 100, done=50)
    for second in range(1, 41):
        now[0] = float(second)
        progress.update(50 + second)
    # 15 done in 15 s, of 50 that are left.
    assert capsys.readouterr().err.splitlines() == [
        "training: 65/100 steps, 1.0/s, 35 s left",
        "training: 80/100 steps, 1.0/s, 20 s left",
    ]
    assert progress.speed == 1.0


def test_brief_work_is_silent_in_a_log_when_it_is_soon_over(now, capsys):
    progress = Progress("drawing", 2, brief=True)
    now[0] = 1.0
    progress.update(1)
    progress.update(2)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_with_speed_time_left_and_values(now, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(os, "environ", {**os.environ, "TERM": "xterm", "COLUMNS": "120"})
    progress = Progress("training", 4, unit="steps")
    now[0] = 2.0
    progress.update(2, {"itc": 1.5})
    progress.close()
    shown = terminal.getvalue()
    assert "training" in shown and "2/4 steps, 1.0/s, 2 s left  itc 1.5" in shown
    assert "\u2501" in shown  # the bar's own sign


@pytest.mark.parametrize("columns", [20, 40, 70, 80, 104, 120])
def test_a_bar_fits_the_window(now, monkeypatch, columns):
    """As many values as there is room for; in a narrow window the essential."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(os, "environ", {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)})
    progress = Progress("pre-training albef-tiny", 400)
    now[0] = 100.0
    progress.update(100, {"itc": 3.2, "itm": 0.68, "mlm": 5.43, "distilled": 1.5})
    progress.close()
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()))
    drawn = [line for line in lines if "\u2501" in line]
    assert drawn and all(len(line) <= columns for line in lines)
    assert ("25%" if columns == 20 else "100/400") in drawn[-1] and "\u2026" not in drawn[-1]
    assert ("5:00 min left" in drawn[-1]) == (columns > 20)
    assert ("itc 3.2" in drawn[-1]) == (columns >= 80) and ("distilled" in drawn[-1]) == (columns >= 120)


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1", "TERM": "xterm"}])
def test_a_terminal_without_escape_codes_has_lines(now, monkeypatch, env):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(os, "environ", {**os.environ, **env})
    progress = Progress("training", 2)
    now[0] = 2.0
    progress.update(2, {"itc": 1.5})
    progress.close()
    assert terminal.getvalue() == "training: 2/2 steps, 1.0/s, 0 s left  itc 1.5\n"


def test_without_standard_error_nothing_goes_to_standard_output(now, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    Progress("training", 1).update(1)
    assert capsys.readouterr().out == ""


def test_what_is_made_ready_before_the_first_unit_is_no_measure_of_the_rest(now, capsys):
    said: list[str] = []
    progress = Progress("retrieval", 500, forecast=said.append)
    for done, second in ((1, 30.0), (11, 31.0), (41, 34.0), (101, 46.0)):
        now[0] = second
        progress.update(done)
    # 10 a second: the other 459 take 46 s; then 100 in 16 s.
    assert [line.partition(" left")[0] for line in said] == ["retrieval: 41 of 500 done, about 46 s"]
    assert capsys.readouterr().err.splitlines()[-1] == "retrieval: 101/500 steps, 6.2/s, 1:04 min left"


def test_long_work_is_forecast_once(now):
    said: list[str] = []
    progress = Progress("vqa", 1_000, forecast=said.append)
    for done, second in ((1, 1.0), (40, 4.0), (80, 8.0)):
        now[0] = second
        progress.update(done)
    assert len(said) == 1
    # 39 in the 3 s since the first: the other 960 take 74 s.
    assert said[0].startswith("vqa: 40 of 1,000 done, about 1:14 min left, ")
    assert said[0].endswith(" held at most so far")


def test_short_work_is_not(now):
    said: list[str] = []
    progress = Progress("vqa", 100, forecast=said.append)
    now[0] = 4.0
    progress.update(90)
    assert said == []
