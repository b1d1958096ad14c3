"""What the speed benchmarks share beside what they measure: flags, the machine's notes, figures printed and kept."""

from __future__ import annotations

import json
import os
import platform
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlzoo.files import write_text
from vlzoo.machine import processor

RESULTS = Path(__file__).resolve().parents[1] / "results"


def flags(about: str | None, quick: str) -> ArgumentParser:
    """A parser with the flags that every benchmark has.

    Args:
        about: what --help says of the benchmark.
        quick: what --quick does.
    """
    parser = ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help="also write the figures into benchmarks/results")
    return parser


def told(found: dict[str, Any], lines: Sequence[str], given: Namespace) -> int:
    """Print figures and keep them, as the flags say; the exit code, which says whether a target was `missed`."""
    if given.write:
        write_text(RESULTS / f"{found['name']}.json", json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1) if given.json else "\n".join(lines))
    return 1 if found["missed"] else 0


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    import torch  # here: it takes memory that a benchmark may count

    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": load_average,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
