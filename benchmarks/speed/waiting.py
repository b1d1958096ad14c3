"""How long a training waits for its data: a tiny recipe on Scenes, with 0, 1 and 2 data workers.

    python benchmarks/speed/waiting.py [RECIPE] [--quick] [--json] [--write]

The loop says what it begins to do (`Engine.does`); an engine that notes the time tells the seconds between
`reading data` and `step` from all others. The first steps, in which workers start, are left out. With 0 workers a batch
is read between two steps, so that its share is what reading costs on one core; with workers it is read while a step
computes, as far as there are cores for both.
The exit code is 1 where computing is less than 90 % of the time with the recipe's own number of workers.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from telling import flags, machine, told

from vlzoo.config.check import load
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.train.engine import Engine
from vlzoo.train.launch import Job, train_with

WORKERS = (0, 1, 2)
FULL, QUICK = 40, 12
"""Steps of a training."""
FIRST = 5
"""Steps that are left out."""
LEAST = 0.9
"""Of the time, that a training should compute."""


class Watch(Engine):
    """One process that notes the time at which the loop begins to do something else."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"))
        self.seen: list[tuple[str, int, float]] = []

    def does(self, what: str, step: int) -> None:
        """Note it."""
        self.seen.append((what, step, time.perf_counter()))

    def shares(self) -> dict[str, float]:
        """Milliseconds a step: waiting for data, and all else; and the share that is not waiting."""
        noted = [each for each in self.seen if each[1] >= FIRST and each[0] != "saving"]
        waits = sum(b[2] - a[2] for a, b in itertools.pairwise(noted) if a[0] == "reading data")
        whole = noted[-1][2] - noted[0][2]
        steps = noted[-1][1] - noted[0][1]
        waits_ms, rest_ms = 1000 * waits / steps, 1000 * (whole - waits) / steps
        return {
            "waiting_ms": round(waits_ms, 2),
            "step_ms": round(rest_ms, 2),
            "computing": round(1 - waits / whole, 4),
        }


def measured(recipe: str, folder: Path, steps: int, workers: int) -> dict[str, float]:
    """The figures of a training with so many data workers."""
    engine, out = Watch(), folder / f"run-{workers}"
    sets = (f"train.workers={workers}", "train.save_every=1000000", "train.log_every=1000000")
    checked = load(recipe, sets=sets)
    batch = checked.recipe.train.batch
    checked = load(recipe, sets=(*sets, f"train.samples={batch * steps}", "train.warmup_samples=0"))
    train_with(engine, Job(checked, out, str(folder), say=lambda _: None))
    return engine.shares()


def result(recipe: str, steps: int) -> dict[str, Any]:
    """All figures, and whether the target is met."""
    own = load(recipe).recipe.train.workers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_scenes(folder / "scenes", Sizes.split(1000, 8, 8), workers=2)
        by_workers = {str(workers): measured(recipe, folder, steps, workers) for workers in WORKERS}
    asked = by_workers[str(min(max(WORKERS), own))]
    return {
        "name": "waiting",
        "recipe": recipe,
        "computing": asked["computing"],
        "by_workers": by_workers,
        "workers": own,
        "steps": steps - FIRST,
        "missed": ["computing"] if asked["computing"] < LEAST else [],
        "machine": machine(),
        "note": "a machine shared with other work: where its cores are taken, workers read no sooner than the loop",
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The figures as a terminal shows them."""
    rows = [f"{found['recipe']}: {found['steps']} steps; milliseconds a step"]
    for workers, row in found["by_workers"].items():
        share = f"computing {row['computing']:.1%}"
        rows.append(f"{workers} workers: waiting {row['waiting_ms']:8.2f}   else {row['step_ms']:8.2f}   {share}")
    return [*rows, *(f"missed: {each} below {LEAST:.0%}" for each in found["missed"])]


def main() -> int:
    """Print the figures; the exit code says whether the target is met."""
    parser = flags(__doc__, "fewer steps")
    parser.add_argument("recipe", nargs="?", default="albef-tiny")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = result(given.recipe, QUICK if given.quick else FULL)
    return told(found, lines(found), given)


if __name__ == "__main__":
    sys.exit(main())
