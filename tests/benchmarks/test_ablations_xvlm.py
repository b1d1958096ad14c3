"""X-VLM's ablation at toy size: three rows as a process, end to end; all rows as they are planned; its arithmetic."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlzoo.config.check import load
from vlzoo.data.records import Region, Sample
from vlzoo.runs.run import Run

pytest.importorskip("vlzoo_xvlm")

BASE = """
extends: xvlm-tiny
about: toy
model:
  text_encoder: {width: 32, heads: 2, intermediate: 32}
  fusion: {width: 32, heads: 2, intermediate: 32}
  joint: 16
streams:
  - name: regions
    data: {part: scenes-regions, root: scenes, split: train}
    rows: {part: regions, patch: 16, each: 5, rows: 12}
    augment: {part: around_box, size: 64, flip: 0.0, randaugment: false}
    probability: 0.5
    batch: 6
  - name: pairs
    data: {part: scenes, split: train}
    objectives: [itc, itm, mlm]
train: {batch: 16}
bench: {k: 4}
finetune:
  retrieval: {train: {samples: 16, batch: 8, warmup_samples: 8}}
  vqa:
    train: {samples: 16, batch: 8, warmup_samples: 8}
    model: {decoder: {width: 32, heads: 2, intermediate: 32}}
    bench: {k: 4}
  nlvr2: {train: {samples: 16, batch: 8, warmup_samples: 8}}
  grounding: {train: {samples: 16, batch: 8, warmup_samples: 8}, rows: {rows: 8}}
"""
ROWS = ["full", "without-all", "attention-pool"]
PAPER = {"full": 605.0, "without-objects": 603.5, "without-regions": 596.0, "without-box": 594.9, "without-all": 580.6}
"""Published.yaml's `xvlm/ablation`, as in METHODS.md 5.5."""


@pytest.fixture(scope="module")
def suite(ablate: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a suite that ran."""
    folder = tmp_path_factory.mktemp("xvlm-ablation")
    (folder / "base.yaml").write_text(BASE, encoding="utf-8")
    assert "3 of 3 runs are in" in ablate(folder, "xvlm", ROWS)
    return folder


@pytest.fixture
def look(part: Callable[[str], Any]) -> Any:
    return part("xvlm").LOOK


def test_every_row_has_every_figure_and_the_papers_beside_it(suite):
    found = json.loads((suite / "results" / "ablation_xvlm_scenes.json").read_text(encoding="utf-8"))
    rows = found["settings"]["scenes"]["rows"]
    assert list(rows) == ROWS
    for name, row in rows.items():
        figures = row["figures"]
        summed = sum(figures[each]["mean"] for each in ("TR R@1", "IR R@1", "VQA", "NLVR2", "grounding"))
        assert figures["Meta-Sum"]["mean"] == pytest.approx(summed)
        assert 0 < summed < 500 and figures["Meta-Sum"]["interval"][0] < summed < figures["Meta-Sum"]["interval"][1]
        assert row["paper"].get("Meta-Sum") == PAPER.get(name) and {"Grad-CAM", "fixed box"} <= set(figures)
        if name != "full":
            gap = figures["Meta-Sum"]["difference"]["mean"]
            assert gap == pytest.approx(summed - rows["full"]["figures"]["Meta-Sum"]["mean"])
    table = (suite / "results" / "ablation_xvlm_scenes.md").read_text(encoding="utf-8")
    assert all(f"| {name} | 1 |" in table for name in ROWS) and "What it does not show" in table


def test_rows_make_as_many_updates_and_read_what_they_say(suite):
    """Two updates on pairs in each; on regions where there are any."""
    for name in ROWS:
        run = next((suite / "out" / "scenes" / name).iterdir()) / "run"
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        assert max(row.get("step", 0) for row in rows) == 2
        weights = Run(run).latest().tensors("system")
        assert ("model.image_encoder.query" in weights) == (name == "attention-pool")
        assert any(each.startswith("objectives.box") for each in weights) == (name != "without-all")


def test_boxes_that_look_at_nothing(part):
    """By hand: two of three training boxes lie at the left; a picture with two objects is right every second time."""
    boxes = part("boxes")

    def sample(image: str, *found: tuple[float, ...]) -> Sample:
        regions = tuple(Region(box, "the ball", "expression") for box in found)  # type: ignore[arg-type]
        return Sample("s", image_id=image, regions=regions)

    left, right = (0.0, 0.0, 20.0, 20.0), (40.0, 40.0, 20.0, 20.0)
    train = [sample("1", left), sample("2", (1.0, 0.0, 20.0, 20.0)), sample("3", right)]
    fixed = boxes.fixed_box(boxes.boxes_of(train))
    assert fixed[0] < 2
    expressions = [sample("4", left), sample("4", right)]
    assert boxes.by_fixed_box(fixed, expressions).tolist() == [100.0, 0.0]
    pictures = [sample("4", left, right), sample("5", left)]
    assert boxes.by_random_object(expressions, pictures).tolist() == [50.0, 50.0]


def test_the_rows_of_the_published_table_are_planned(part, tmp_path):
    """What each reads, by its recipe at toy size; the lengths, so that each makes 4 updates of 16 pictures on pairs."""
    plan, settings = part("plan"), part("settings")
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    suite = plan.Suite.xvlm(None, str(tmp_path / "base.yaml"), 64)
    train = {"part": "scenes", "root": str(tmp_path / "data" / "scenes"), "split": "train"}
    jobs = plan.plan(suite, suite.rows("every"), [0], [settings.Setting("scenes", train, {})], tmp_path)
    assert [job.row for job in jobs] == [*PAPER, "attention-pool"] and len({job.key for job in jobs}) == 6
    recipes = {job.row: load(str(tmp_path / "recipes" / f"scenes-{job.row}-0.yaml")).recipe for job in jobs}
    read = {name: [stream.data.part for stream in recipe.streams] for name, recipe in recipes.items()}
    alone = {"without-objects": "scenes-regions", "without-regions": "scenes-objects"}
    for name, recipe in recipes.items():
        regions = [] if name == "without-all" else [alone.get(name, "mixture")]
        assert read[name] == [*regions, "scenes"]
        assert recipe.train.samples == 4 * (16 + len(regions) * 0.5 * 6) and recipe.train.seed == 0
        assert ("box" in recipe.active) == (name not in ("without-box", "without-all"))
        assert recipe.model.image_encoder.part == ("attention_pool" if name == "attention-pool" else "timm")
        assert recipe.model.image_encoder.options["name"] == "test_resnet"
    mixture = (tmp_path / "data" / "scenes-objects-and-scenes-regions.yaml").read_text(encoding="utf-8")
    assert "part: scenes-objects" in mixture and "part: scenes-regions" in mixture


def test_the_meta_sum_draws_a_picture_with_all_that_is_said_of_it(look):
    """Two pictures; each figure's own mean, and one number of pictures for all of them."""
    run = {f"{name}/value": np.array([100.0, 0.0, 0.0]) for name in look.summed}
    run |= {f"{name}/image": np.array(["a", "a", "b"]) for name in look.summed}
    run["NLVR2/image"] = np.array(["a|b", "a|b", "b|a"])
    parts = look.parts_of(look.total, [run, run])
    assert len(parts) == 5 and {part.sums.shape for part in parts} == {(2, 4)}
    assert parts[0].sizes.tolist() == [2, 0, 1, 0] and parts[3].sizes.tolist() == [0, 2, 0, 1]
    assert np.mean([part.seeds() for part in parts]) == pytest.approx(5 * 100 / 3)
    other = {**run, "VQA/image": np.array(["a", "b", "b"])}
    with pytest.raises(ValueError, match="VQA: the runs were measured on other samples"):
        look.parts_of(look.total, [run, other])


def test_another_setting_is_refused(root, tmp_path, forking):
    done = forking.run(
        [sys.executable, str(root / "benchmarks" / "ablations.py"), "--suite", "xvlm", "--settings", "mixture"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and "--suite xvlm has no setting 'mixture'" in done.stderr
