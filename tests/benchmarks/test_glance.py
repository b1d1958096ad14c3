"""The zoo at a glance at toy size: two recipes as a process, end to end, both of which write captions; its sums."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from vlzoo.bench.captioning.task import Captioning
from vlzoo.bench.engine import load_run
from vlzoo.data.records import Sample
from vlzoo.runs.run import Run

pytest.importorskip("vlzoo_vlmixer")

SMALL = "{width: 32, heads: 2, intermediate: 32}"
ALBEF = f"""
extends: albef-tiny
about: toy
model: {{text_encoder: {SMALL}, fusion: {SMALL}, joint: 16}}
objectives: {{itc: {{queue: 32}}}}
train: {{batch: 16, log_every: 1}}
finetune:
  retrieval: {{train: {{batch: 8, samples: 8}}}}
  vqa: {{train: {{batch: 8}}, model: {{decoder: {SMALL}}}, bench: {{k: 4}}}}
  nlvr2: {{train: {{batch: 8}}}}
  snli-ve: {{train: {{batch: 8}}, data: {{part: scenes-snli-ve, root: elsewhere}}}}
  captioning: {{train: {{batch: 8}}, model: {{decoder: {SMALL}}}}}
"""
SIMVLM = f"""
extends: whole.yaml
about: toy
model: {{text_encoder: {{width: 32}}, fusion: {SMALL}, decoder: {SMALL[:-1]}, layers: 1}}}}
train: {{batch: 16, log_every: 1}}
finetune:
  vqa: {{model: {{decoder: {SMALL[:-1]}, layers: 1}}}}}}
"""
"""Of simvlm-tiny without its fine-tuning for captions, so that they are measured as it writes them."""
LOST = "extends: albef-tiny\nabout: toy\ndata: {part: coco, root: nowhere}\n"
SIZES = ("--samples", "64", "--tuned", "16", "--images", "40", "--seeds", "0", "--folder", "toys", "--out", "out")
TUNED = ("TR mean", "IR mean", "VQA", "NLVR2")
WRITTEN = ("CIDEr", "true facts", "CIDEr, other pictures", "true facts, other pictures")


def glance(forking: ModuleType, folder: Path, root: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "benchmarks" / "glance.py"), *SIZES, "--results", "results", *more]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    options = {"cwd": folder, "env": env, "capture_output": True, "text": True}
    done: subprocess.CompletedProcess[str] = forking.run(command, **options, timeout=600)
    return done


@pytest.fixture(scope="module")
def suite(root: Path, tmp_path_factory: pytest.TempPathFactory, forking: ModuleType) -> Path:
    """The folder of a suite that ran."""
    folder = tmp_path_factory.mktemp("glance")
    (folder / "toys").mkdir()
    held = (root / "zoo_configs" / "methods" / "simvlm-tiny.yaml").read_text(encoding="utf-8").splitlines(True)
    (folder / "toys" / "whole.yaml").write_text("".join(line for line in held if "captioning" not in line))
    for name, text in {"albef": ALBEF, "simvlm": SIMVLM, "lost": LOST}.items():
        (folder / "toys" / f"{name}-tiny.yaml").write_text(text, encoding="utf-8")
    done = glance(forking, folder, root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs are in" in done.stdout and "lost-tiny is left out: what it reads is not there" in done.stdout
    return folder


def table(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results" / "glance.json").read_text(encoding="utf-8"))
    return found


def folder_of(suite: Path, name: str) -> Path:
    return next((suite / "out" / "scenes" / name).iterdir())


def test_the_table_says_what_the_runs_gave(suite):
    """Means of the values of samples; of facts the true ones over all that are stated."""
    recipes = table(suite)["recipes"]
    for name, figures in {"albef-tiny": (*TUNED, *WRITTEN), "simvlm-tiny": ("VQA", *WRITTEN)}.items():
        row = recipes[name]
        assert set(row["figures"]) == set(figures)
        with np.load(folder_of(suite, name) / "values.npz") as held:
            for figure in figures:
                found, values = row["figures"][figure], held[f"{figure}/value"]
                true, stated = values.sum(0) if "facts" in figure else (values.sum() / 100, len(values))
                assert found["mean"] == pytest.approx(100 * true / stated if stated else 0.0)
                assert found["as pre-trained"] == (name == "simvlm-tiny" and figure != "VQA")
                assert found["interval"][0] <= found["mean"] <= found["interval"][1]
            assert row["facts a caption"] == pytest.approx(held["true facts/value"][:, 1].mean())
            # 40 scenes: 5 to test, with 5 captions each; of those that are written one for each picture.
            assert len(held["CIDEr/value"]) == 5
            if name == "albef-tiny":
                assert len(held["TR mean/value"]) == 5 and len(held["IR mean/value"]) == 25


def test_sizes_and_steps_are_the_runs(suite):
    for name, row in table(suite)["recipes"].items():
        run = folder_of(suite, name) / "run"
        assert row["parameters"] == sum(each.numel() for each in load_run(run).system.parameters())
        times = [each["time"] for each in Run(run).metrics()]
        assert len(times) == 4 and row["step_ms"] == pytest.approx(1000 * np.median(np.diff(times)), abs=0.01)
    tuned = Run(folder_of(suite, "albef-tiny") / "run")
    lengths = {task: tuned.finetuned(task).recipe().train for task in ("retrieval", "vqa", "nlvr2", "captioning")}
    # 16 at most; the warmup of 3,200 of 25,600 and 16,000 samples is shortened alike.
    assert {task: train.samples for task, train in lengths.items()} == {
        **dict.fromkeys(lengths, 16),
        "retrieval": 8,
    }
    assert (lengths["vqa"].warmup_samples, lengths["nlvr2"].warmup_samples) == (2, 3)


def test_a_line_a_recipe_with_chance_before_them_and_reasons_behind(suite):
    text = (suite / "results" / "glance.md").read_text(encoding="utf-8")
    blind = table(suite)["blind"]
    assert blind["constant or chance"]["NLVR2"]["mean"] >= 50 and set(blind["text alone"]) == {
        "VQA",
        "NLVR2",
        "SNLI-VE",
    }
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and line.count("|") == 12]
    assert [cells[0] for cells in lines[2:]] == [
        "| constant or chance",
        "| text alone",
        "| `albef-tiny`",
        "| `simvlm-tiny`",
    ]
    albef, simvlm = lines[4:]
    assert simvlm[3:5] + simvlm[6:8] == ["-"] * 4 and all("°" in cell for cell in simvlm[8:])
    assert "-" not in simvlm[5] and "°" not in simvlm[5]
    assert albef[7] == "-" and "-" not in albef[3:7] and "°" not in "".join(albef)
    assert "`lost-tiny`: what it reads is not there: " in text and "`albef-tiny`, snli-ve: " in text
    assert "What it does not show" in text and "No ranking of methods" in text


def test_another_machine_makes_the_table_of_what_is_kept(suite, root, tmp_path, forking):
    """With the table's folder alone: no run is made again, and the figures are the same to the last digit."""
    for name in ("results", "toys"):
        shutil.copytree(suite / name, tmp_path / name)
    shutil.copytree(suite / "out" / "data", tmp_path / "out" / "data", symlinks=False)
    done = glance(forking, tmp_path, root, "--report")
    assert done.returncode == 0 and "2 runs, 2 done before" in done.stdout, done.stdout + done.stderr
    assert table(tmp_path)["recipes"] == table(suite)["recipes"] and table(tmp_path)["runs"] == table(suite)["runs"]


def test_an_unknown_recipe_is_told_with_the_nearest(root, tmp_path, forking):
    command = [sys.executable, str(root / "benchmarks" / "glance.py"), "--recipes", "git-tiny,albef-tinny"]
    done = forking.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "no recipes called 'albef-tinny'" in done.stderr
    assert "did you mean 'albef-tiny'?" in done.stderr and not list(tmp_path.iterdir())


def test_every_tiny_recipe_is_found_with_what_it_can_do(part, suite, root):
    recipes = part("recipes")
    known = recipes.tiny()
    shipped = {file.stem for file in (root / "zoo_configs" / "methods").glob("*-tiny.yaml")}
    assert shipped | {"vlmixer-tiny"} <= set(known)
    names = [f"{name}-tiny" for name in ("albef", "coca", "oscar", "uniter", "vlmixer", "flamingo", "simvlm", "siglip")]
    found, skipped = recipes.look(names, known, str(suite / "out" / "data" / "annotations"))
    assert not skipped
    able = {each.name: each for each in found}
    assert able["albef-tiny"].tuned == recipes.TASKS and not able["albef-tiny"].left
    assert (able["coca-tiny"].tuned, able["coca-tiny"].whole) == (("retrieval", "vqa", "captioning"), ())
    assert able["oscar-tiny"].whole == able["uniter-tiny"].whole == ("retrieval",)
    assert able["flamingo-tiny"].tuned == ("captioning",) and able["simvlm-tiny"].tuned == ("vqa", "captioning")
    assert able["siglip-tiny"].whole == ()
    assert able["vlmixer-tiny"].tuned == ("retrieval", "vqa", "nlvr2", "snli-ve")


def test_runs_make_as_many_steps_whatever_their_streams(part, tmp_path):
    """Four steps of 16, and of 8 in every second one beside them; one stream a step where one is drawn."""
    recipes, settings = part("recipes"), part("settings")
    both = "streams: [{name: a, data: {part: scenes}}, {name: b, data: {part: scenes}, batch: 8, probability: 0.5}]\n"
    for name, draw in {"each": "each", "one": "one"}.items():
        text = f"extends: clip-tiny\nabout: toy\ndata: null\n{both}train: {{batch: 16, draw: {draw}}}\n"
        (tmp_path / f"{name}-tiny.yaml").write_text(text, encoding="utf-8")
    known = recipes.tiny(tmp_path)
    able = [recipes.Able(name, place, recipes.load(place), ("retrieval",), (), {}) for name, place in known.items()]
    setting = settings.Setting("scenes", {}, {}, root=str(tmp_path))
    jobs = recipes.runs(able, [0, 1], 64, 9600, setting, tmp_path, "code")
    assert [(job.row, job.seed) for job in jobs] == [
        ("each-tiny", 0),
        ("one-tiny", 0),
        ("each-tiny", 1),
        ("one-tiny", 1),
    ]
    made = [recipes.load(str(tmp_path / "recipes" / f"scenes-{name}-0.yaml")).recipe.train for name in known]
    # (16 + 8 / 2) x 4; drawn, a step has 20 / 1.5 samples.
    assert [train.samples for train in made] == [80, 53] and made[0].warmup_samples == 80 // 12
    assert len({job.key for job in jobs}) == 4


def test_captions_by_hand(part):
    """Two pictures: one caption true in colour, shape and both, the other in colour alone; then the other way round."""
    thing = {"size": "small", "texture": "plain", "x": 10.0, "y": 10.0}
    shown = [[{"color": "red", "shape": "circle", **thing}], [{"color": "blue", "shape": "star", **thing}]]
    said = ["A red circle.", "A blue ring."]
    samples = [
        Sample(f"s{at}", texts=(text, "Something."), image_id=str(at), fields={"things": things})
        for at, (text, things) in enumerate(zip(["A red circle.", "A blue star."], shown, strict=True))
    ]
    tasks = part("tasks")
    rows = {sample.name: {"caption": text} for sample, text in zip(samples, said, strict=True)}
    found = tasks.captions(Captioning(), samples, rows)
    assert found["true facts/value"].tolist() == [[3, 3], [1, 3]] and str(found["true facts/formula"]) == "ratio"
    assert found["CIDEr/image"].tolist() == ["0", "1"] and found["CIDEr/value"][0] > found["CIDEr/value"][1]
    assert part("tuned").estimated("true facts", [found])["mean"] == pytest.approx(100 * 4 / 6)
    silent = {sample.name: {"caption": "something"} for sample in samples}
    assert tasks.captions(Captioning(), samples, silent)["true facts/value"].tolist() == [[0, 0], [0, 0]]


def test_milliseconds_from_step_to_step(part):
    """By hand: 50, 50 and 400 ms a step; the median passes over a checkpoint that took long."""
    rows = [{"step": at, "time": time} for at, time in ((20, 0.0), (40, 1.0), (60, 2.0), (80, 10.0))]
    assert part("facts").step_ms(rows) == 50.0
    assert part("facts").step_ms(rows[:1]) is None
