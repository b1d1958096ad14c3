"""Times as people read them."""

from __future__ import annotations

import pytest

from vlzoo.train.progress import Progress, clock


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1:00 min"), (200, "3:20 min"), (3900, "1:05 h"), (float("inf"), "?")],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


def test_the_last_line_is_always_shown(capsys):
    progress = Progress("training", 3)
    for step in (1, 2, 3):
        progress.update(step, {"itc": 1.23456})
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("training: 3/3 steps, ") and lines[0].endswith("0 s left  itc 1.23")
