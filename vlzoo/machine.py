"""What a run, `vlzoo doctor` and the benchmarks tell of the machine that computes."""

from __future__ import annotations

import platform
from pathlib import Path

CPUS = Path("/proc/cpuinfo")


def processor() -> str:
    """The processor's name: as Linux tells it, elsewhere what Python knows."""
    try:
        lines = CPUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
