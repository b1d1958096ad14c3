"""How long the light commands take, as a user waits for them: a process each, the median of ten, warm.

    python benchmarks/speed/startup.py [--runs 10] [--quick] [--json]

The aim is 0.3 s and the limit 0.5 s for each; the exit code is 1 where a median is above the limit. Processor time
stands beside: on a busy machine it tells what the command itself costs. The reference is what every command would take
if it imported torch: `python -c "import torch"`; the ratio is that of `vlzoo list`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_S = 0.5
RECIPE = "model: {image_encoder: timm, text_encoder: bert, fusion: cross_attention}\nobjectives: {itc: {}, itm: {}}\n"


def commands(recipe: Path) -> dict[str, list[str]]:
    """What is timed."""
    return {
        "list": ["list"],
        "list --json": ["list", "--json"],
        "show objective/itc": ["show", "objective/itc"],
        "doctor": ["doctor"],
        "check RECIPE": ["check", str(recipe)],
        "show RECIPE --resolved": ["show", str(recipe), "--resolved"],
        "--help": ["--help"],
    }


def seconds(args: list[str], runs: int) -> list[tuple[float, float]]:
    """Wall-clock and processor seconds of each run, after one that warms the disk's and vlzoo's caches."""
    taken = []
    for _ in range(runs + 1):
        started, before = time.perf_counter(), os.times()
        subprocess.run([sys.executable, *args], capture_output=True, check=False)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        taken.append((time.perf_counter() - started, spent))
    return taken[1:]


def summary(taken: list[tuple[float, float]]) -> dict[str, float]:
    """Median and worst of the runs."""
    wall, processor = zip(*taken, strict=True)
    figures = {"median_s": statistics.median(wall), "worst_s": max(wall), "processor_s": statistics.median(processor)}
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> int:
    """Time every command and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="three runs, within 50 seconds on an idle machine")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    runs = 3 if given.quick else given.runs
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder, "recipe.yaml")
        recipe.write_text(RECIPE)
        timed = {name: seconds(["-m", "vlzoo", *args], runs) for name, args in commands(recipe).items()}
    reference_s = summary(seconds(["-c", "import torch"], runs))["median_s"]
    rows = {name: summary(taken) for name, taken in timed.items()}
    if given.json:
        ours_s = rows["list"]["median_s"]
        figures = {"ours_s": ours_s, "reference_s": reference_s, "ratio": round(ours_s / reference_s, 4)}
        about = {"max_difference": 0.0, "limit_s": LIMIT_S, "runs": runs, "commands": rows}
        print(json.dumps({"name": "startup", **figures, **about}, indent=2))
    else:
        for name, row in rows.items():
            told = "   ".join(f"{figure.removesuffix('_s')} {value:.3f} s" for figure, value in row.items())
            print(f"vlzoo {name:24} {told}")
    return int(any(row["median_s"] > LIMIT_S for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
