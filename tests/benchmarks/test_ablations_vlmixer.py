"""VLMixer's table at toy size: rows as a process, end to end; all rows as they are planned; both detectors' data."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vlzoo.config.check import load

pytest.importorskip("vlzoo_vlmixer")

OWN = """
train: {batch: 16}
finetune:
  retrieval: {train: {samples: 16, batch: 8, warmup_samples: 8}}
  vqa: {train: {samples: 16, batch: 8, warmup_samples: 8}}
  nlvr2: {train: {samples: 16, batch: 8, warmup_samples: 8}}
"""
ROWS = ["vinvl-unpaired", "vlmixer", "paired"]
FIGURES = ("VQA", "NLVR2", "TR R@1", "IR R@1", "TR mean", "IR mean")
PAPER = {
    "vinvl-unpaired": {"VQA": 71.78, "NLVR2": 72.01, "COCO TR": 61.92, "COCO IR": 46.90},
    "vlmixer": {"VQA": 72.60, "NLVR2": 73.08, "COCO TR": 62.69, "COCO IR": 47.95},
    "bert": {"VQA": 64.85, "NLVR2": 51.34, "COCO TR": 57.44, "COCO IR": 44.03},
    "paired": {"VQA": 75.95, "NLVR2": 83.08, "COCO TR": 74.6, "COCO IR": 58.1},
    "u-visualbert": {"VQA": 72.41},
}
"""Published.yaml's `vlmixer/main`: COCO / COCO, as in METHODS.md 5."""
OURS = ["k-1", "k-15", "r-ctx-0", "without-contrast"]


@pytest.fixture(scope="module")
def suite(small_vlmixer: str, ablate: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a suite that ran."""
    folder = tmp_path_factory.mktemp("vlmixer-ablation")
    (folder / "base.yaml").write_text(small_vlmixer + OWN, encoding="utf-8")
    assert "3 of 3 runs are in" in ablate(folder, "vlmixer", ROWS)
    return folder


def test_every_row_has_every_figure_and_the_papers_beside_it(suite):
    found = json.loads((suite / "results" / "ablation_vlmixer_unpaired-annotations.json").read_text(encoding="utf-8"))
    setting = found["settings"]["unpaired-annotations"]
    assert list(setting["rows"]) == ROWS and found["baseline"] == "vinvl-unpaired"
    base = setting["rows"]["vinvl-unpaired"]["figures"]
    for name, row in setting["rows"].items():
        assert row["paper"] == PAPER[name] and tuple(row["figures"]) == FIGURES
        for figure in FIGURES:
            own = row["figures"][figure]
            assert own["interval"][0] <= own["mean"] <= own["interval"][1]
            if name != "vinvl-unpaired":
                assert own["difference"]["mean"] == pytest.approx(own["mean"] - base[figure]["mean"])
    # 40 scenes: 30 to train, 5 to test with 5 captions each, all of them in one pool or another.
    assert setting["samples"]["TR R@1"] == {"samples": 5, "images": 5}
    assert setting["samples"]["IR R@1"] == {"samples": 25, "images": 5}
    assert setting["train"]["pairs to fine-tune on"] == 5 * 30
    assert setting["figures"] == list(FIGURES) and set(setting["chance"]) == set(FIGURES[2:])
    table = (suite / "results" / "ablation_vlmixer_unpaired-annotations.md").read_text(encoding="utf-8")
    assert all(f"| {name} | 1 |" in table for name in ROWS) and "What it does not show" in table


def test_pictures_and_captions_are_of_two_halves_and_each_row_makes_two_updates(suite):
    for name in ROWS:
        run = next((suite / "out" / "unpaired-annotations" / name).iterdir()) / "run"
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        assert max(row.get("step", 0) for row in rows) == 2
    found = json.loads((suite / "results" / "ablation_vlmixer_unpaired-annotations.json").read_text(encoding="utf-8"))
    train = found["settings"]["unpaired-annotations"]["train"]
    assert train["pictures"] + train["captions"] // 5 == 30


def test_the_same_command_does_nothing_again(suite, ablate):
    assert "3 runs, 3 done before" in ablate(suite, "vlmixer", ROWS, "again")
    first, second = (
        json.loads((suite / name / "ablation_vlmixer_unpaired-annotations.json").read_text(encoding="utf-8"))
        for name in ("results", "again")
    )
    assert first["settings"] == second["settings"]


def test_all_rows_are_planned(part, tmp_path):
    """What each changes of vlmixer-tiny, at its own size; the lengths, so that each makes 4 updates of each stream."""
    plan, settings = part("plan"), part("settings")
    suite = plan.Suite.vlmixer(None, None, 4 * 64)
    setting = settings.Setting("unpaired", {}, {}, changes={"model": {"image_encoder": {"features": 128}}})
    jobs = plan.plan(suite, suite.rows("every"), [7], [setting], tmp_path)
    assert [job.row for job in jobs] == [*list(PAPER)[:2], "bert", "paired", *OURS[:3], "u-visualbert", OURS[3]]
    assert len({job.key for job in jobs}) == len(jobs)
    recipes = {job.row: load(str(tmp_path / "recipes" / f"unpaired-{job.row}-7.yaml")).recipe for job in jobs}
    for name, recipe in recipes.items():
        assert recipe.model.image_encoder.options["features"] == 128 and recipe.train.seed == 7
        assert recipe.train.samples == 4 * 64 * len(recipe.streams) and recipe.train.epochs is None
        assert recipe.model.fusion.options["layers"] == 4, name
    rows = {name: recipe.streams[0].rows for name, recipe in recipes.items()}
    mixers = {name: each.options["mixer"] for name, each in rows.items() if each and "mixer" in each.options}
    drawn = {name: (each["r_cmc"], each["k"], each["r_ctx"]) for name, each in mixers.items() if "r_ctx" in each}
    usual = (0.5, 5, 0.5)
    told = {"vlmixer": usual, "without-contrast": usual, "k-1": (0.5, 1, 0.5), "k-15": (0.5, 15, 0.5)}
    assert drawn == {**told, "r-ctx-0": (0.5, 5, 0.0)}
    assert mixers["vinvl-unpaired"]["r_cmc"] == 0.0
    contrast = {
        name: r.active["valp"].options.get("contrast", True) for name, r in recipes.items() if "valp" in r.active
    }
    assert [name for name, has in contrast.items() if not has] == ["vinvl-unpaired", "without-contrast"]
    assert set(recipes["paired"].active) == {"itm", "mlm"} and set(recipes["bert"].active) == {"mlm"}
    assert recipes["u-visualbert"].model.text_encoder.options["boxes"] and recipes["u-visualbert"].train.draw == "one"
    assert recipes["paired"].streams[0].data.options["of"] == {"part": "mixture", "file": "scenes-half-pairs"}
    assert recipes["bert"].streams[0].data.options["file"] == "scenes-half-texts"


def test_what_a_row_changes(part):
    trees = part("trees")
    own = {"a": {"part": "x", "n": 1, "m": 2}, "b": [1], "c": 3}
    assert trees.changed({**own, "b": [1, 2]}, own) == {"b": [1, 2]}
    assert trees.changed({**own, "a": {"part": "x", "n": 5, "m": 2}}, own) == {"a": {"n": 5}}
    other = {"part": "y", "n": 1}  # of another part everything: what is alike by chance is not the base's
    assert trees.changed({**own, "a": other, "d": None}, own) == {"a": other, "d": None}
    # A value is known by all of it: another part with the same file is another value.
    tree = {"of": {"part": "x", "file": "f"}, "rows": [{"gallery": "g"}, "g"], "file": "f"}
    assert trees.exchanged(tree, [({"part": "x"}, 1), ("g", "h")]) == {**tree, "rows": [{"gallery": "h"}, "h"]}
    assert trees.exchanged(tree, [({"part": "x", "file": "f"}, "y")])["of"] == "y"


def test_a_part_of_vlmixer_is_compared_with_vlmixer(part, tmp_path):
    """By hand: two pictures; VLMixer has both questions right, one patch a word none, VinVL-unpaired one."""
    jobs = []
    for row, right in {"vinvl-unpaired": [100.0, 0.0], "vlmixer": [100.0, 100.0], "k-1": [0.0, 0.0]}.items():
        folder = tmp_path / row
        folder.mkdir()
        held = {f"{name}/value": np.array(right) for name in FIGURES}
        np.savez(folder / "values.npz", **held, **{f"{name}/image": np.array(["a", "b"]) for name in FIGURES})
        (folder / "result.json").write_text("{}", encoding="utf-8")
        setting = part("settings").Setting("unpaired", {}, {})
        jobs.append(part("plan").Job(setting, row, 0, "key", folder, "", None, "vinvl-unpaired"))
    rows = part("tuned").summary(jobs, part("vlmixer").LOOK)["settings"]["unpaired"]["rows"]
    gaps = {row: found["figures"]["VQA"].get("difference", {}).get("mean") for row, found in rows.items()}
    assert gaps == {"vinvl-unpaired": None, "vlmixer": 50.0, "k-1": -100.0}
    assert rows["k-1"]["against"] == "vlmixer" and rows["k-1"]["paper"] == {}


def test_a_fitted_detector_is_a_setting_of_its_own(suite, part):
    """Weights that lie there are taken as they are, for fitting takes minutes: these take everything for a circle."""
    from vlzoo_vlmixer.rcnn import Facts, build_rcnn, save_rcnn
    from vlzoo_vlmixer.regions import open_regions

    root, facts = suite / "out" / "data" / "torchvision", Facts("small", ("circle", "star"))
    root.mkdir()
    model: Any = build_rcnn(facts)
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.bias[1] = 9.0
    save_rcnn(root / "small.safetensors", model, facts)
    settings = part("settings")
    names, both = ("unpaired",), ("annotations", "torchvision")
    known, found = settings.make_settings(names, suite / "out", suite, 40, both)
    assert known.name == "unpaired-annotations" and found.name == "unpaired-torchvision"
    assert known.sizes == found.sizes and known.fingerprint != found.fingerprint
    assert found.changes == {"model": {"image_encoder": {"features": 128}}}
    for gallery in ("scenes-half", "scenes-train", "scenes-test"):
        assert open_regions(root / "galleries" / gallery).width == 128
    with np.load(next((suite / "out" / known.name / "vlmixer").iterdir()) / "values.npz") as values:
        assert set(values["VQA/value"]) <= {0.0, 30.0, 60.0, 90.0, 100.0}


def test_an_unknown_detector_is_told_with_the_nearest(root, tmp_path, forking):
    done = forking.run(
        [sys.executable, str(root / "benchmarks" / "ablations.py"), "--suite", "vlmixer", "--detector", "torchvison"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and "did you mean 'torchvision'" in done.stderr
    assert not (tmp_path / "runs").exists()
