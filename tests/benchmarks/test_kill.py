"""The kill bench, as it is run: three kills at seeded moments, in one process and in two."""

from __future__ import annotations

import sys


def test_what_was_killed_ends_with_the_same_bits(root, forking):
    command = [sys.executable, str(root / "benchmarks" / "kill.py"), "--kills", "3", "--seed", "21", "--steps", "20"]
    done = forking.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0 and "3 of 3 have the same bits" in done.stdout, done.stdout + done.stderr
    told = [line[: len("Kill(processes=1")] for line in done.stdout.splitlines()]
    assert told.count("Kill(processes=1") == 2 and told.count("Kill(processes=2") == 1
