"""The main job's verdict on made-up figures."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vlzoo.data.scenes.make import Sizes, make_scenes


@pytest.fixture(scope="module")
def job(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("main_job", root / "benchmarks" / "main_job.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_scenes(folder / "scenes", Sizes.split(24, 6, 6), seed=0, side=64)
    return folder


def figures(accuracy: float, low: float, recall: float) -> list[dict]:
    rows = [{"task": "retrieval", "metric": f"{way} R@1", "value": recall, "interval": [0, 9]} for way in ("TR", "IR")]
    tasks = ("vqa", "nlvr2", "snli-ve")
    return rows + [{"task": t, "metric": "accuracy", "value": accuracy, "interval": [low, 99]} for t in tasks]


def test_a_model_that_learned_holds_every_claim(job, data, monkeypatch):
    monkeypatch.setattr(job, "FACTOR", 5)  # of six pictures nobody finds more than six times what lots find
    claims = job.judge(figures(99.0, 98.0, 100.0), data)
    assert len(claims) == 8
    assert all(claim.held for claim in claims)


def test_an_interval_that_reaches_below_the_bar_is_a_miss(job, data):
    claims = {claim.what: claim for claim in job.judge(figures(60.0, 49.9, 100.0), data)}
    # NLVR2 of Scenes is balanced sentence by sentence: the best constant is right half the time.
    missed = claims["nlvr2 accuracy: above the best constant"]
    assert missed.bar == 50.0
    assert not missed.held


def test_recall_below_ten_times_chance_is_a_miss(job, data):
    claims = job.judge(figures(99.0, 98.0, 50.0), data)
    # Six pictures: chance is a sixth, ten times that is above 100 %.
    assert not any(claim.held for claim in claims[:2])


def test_the_readme_shows_what_is_printed(job, root):
    """The figures that were measured, as the job prints them: the same columns, in the same format."""
    kept = json.loads((root / "benchmarks/results/main_job.json").read_text(encoding="utf-8"))
    rows = job.shown(kept["scores"], [job.Claim(**claim) for claim in kept["claims"]])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    for page in ("README.md", "benchmarks/results/main_job.md"):
        text = (root / page).read_text(encoding="utf-8")
        assert all(line.replace("|  |", "| |") in text for line in lines), page
