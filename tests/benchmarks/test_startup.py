"""The timing script times every light command and says so in JSON."""

from __future__ import annotations

import json
import subprocess
import sys


def test_every_command_is_timed(root):
    script = root / "benchmarks" / "speed" / "startup.py"
    command = [sys.executable, str(script), "--runs", "1", "--json"]
    # The exit code says whether the limit was kept; on a busy machine that is no fault of the code's.
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    made = json.loads(done.stdout)
    assert {"list", "doctor", "check RECIPE"} <= set(made["commands"])
    slow = any(row["median_s"] > made["limit_s"] for row in made["commands"].values())
    assert done.returncode == int(slow)
    assert all(0 < row["median_s"] <= row["worst_s"] for row in made["commands"].values())
