"""Runs that were measured: figures as bench writes them, of values that a test chooses; no model is made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlzoo.metrics.figures import PerSample, Score, Scored
from vlzoo.runs.run import Run
from vlzoo.runs.scores import Measurement, keep, measurements

ABOUT = {"weights": "w", "data": "scenes/test", "fingerprint": "f1", "precision": "fp32", "mode": None, "k": None}
Measured = Callable[..., Measurement]


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Writes the figures of a run into the folder where the test stands, and gives them as they are read."""
    monkeypatch.chdir(tmp_path)
    clock = iter(range(1_000_000_000, 2_000_000_000))

    def make(name: str, *scores: Score, protocol: str = "official", key: str = "0", **about: Any) -> Measurement:
        run = Run(Path(name))
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / "recipe.yaml").write_text("# x, resolved by vlzoo 0\ntask: null\n")
        known = {**ABOUT, "task": scores[0].task, "run": name, **about}
        folder = run.bench_folder(scores[0].task, key)
        folder.mkdir(parents=True, exist_ok=True)
        missing = known.pop("missing", 0)
        keep(folder, known, Scored(scores, missing).on(f"{known['data']} {known['fingerprint']}"), protocol)
        file = folder / f"score-{protocol}.json"
        os.utime(file, (next(clock),) * 2)  # the later one is the newer one, however fast a test is
        return next(each for each in measurements(run) if each.file == file)

    return make


@pytest.fixture
def per_sample() -> Callable[..., PerSample]:
    """Values of samples with their clusters."""
    return lambda values, clusters: PerSample(np.asarray(values, float), np.asarray(clusters))
