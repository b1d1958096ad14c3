"""`train.accumulate` and `train.checkpointing`: less is kept, and training goes as it goes without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vlzoo.cli.main import run as vlzoo
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.runs.run import Run

HERE = Path(__file__).resolve().parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
BATCH, STEPS, FEW, PARTS = 5, 20, 5, 3
"""Uneven parts: of one row, two and two."""
SAME = 1e-5
XVLM = """\
extends: xvlm-tiny
streams:
  - name: regions
    data: {part: scenes-regions, root: scenes, split: train}
    rows: {part: regions, patch: 16}  # with the cap and the repeats that two processes would draw otherwise
    augment: {part: around_box, size: 64, flip: 0.0, randaugment: false}
    probability: 0.5
    batch: 4
  - name: pairs
    data: {part: scenes, split: train}
    objectives: [itc, itm, mlm]
"""
SUMMED = """\
extends: albef-tiny
data: null
streams:
  - {name: pairs, data: {part: scenes, split: train}, objectives: [itc, itm]}
  - {name: texts, data: {part: scenes, split: train}, objectives: [mlm], batch: 4}
train: {update: sum, epoch_of: pairs}
"""
RECIPES = (
    *("albef-tiny", "clip-tiny", "vilt-tiny", "uniter-tiny", "oscar-tiny"),
    *("softmaskpp-tiny", "tcl-tiny", "xvlm", "vlmixer-tiny", "summed"),
)
LONG = ("albef-tiny", "xvlm")
TASKS = ("vqa", "nlvr2")
ENCODER = (
    "{part: timm, name: test_resnet, "
    "arguments: {output_stride: 16, norm_layer: groupnorm1, stem_width: 8, channels: [16, 32, 64, 96]}}"
)
"""Features of the gallery that vlmixer-tiny reads; 96 numbers."""


@dataclass
class Place:
    """A folder with a corpus, in which trainings run."""

    folder: Path

    def words(self, command: str, out: str = "", **sets: object) -> list[str]:
        """The command line of a training."""
        given = {"samples": BATCH * STEPS, "batch": BATCH, "workers": 0, "log_every": 1, "lr": 3e-4}
        given |= {"schedule": "constant", "warmup_samples": 0, **sets}
        changes = [word for key, value in given.items() for word in ("--set", f"train.{key}={value}")]
        return [*command.split(), "--data-root", str(self.folder), *changes, *(["--out", out] if out else [])]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    make_scenes(folder / "scenes", Sizes.split(60, 4, 4), seed=3, workers=1)
    for name, text in {"xvlm": XVLM, "summed": SUMMED}.items():
        (folder / f"{name}.yaml").write_text(text)
    return Place(folder)


@pytest.fixture(scope="module")
def gallery(place):
    out = ["--out", str(place.folder / "galleries" / "scenes-half"), "--data-root", str(place.folder)]
    wanted = ["data.file=scenes-half-objects", "detector.size=64", f"detector.encoder={ENCODER}"]
    sets = [word for each in wanted for word in ("--set", each)]
    assert vlzoo(["detect", "--images", "mixture", "--detector", "annotations", *out, *sets]) == 0


def rows_of(run: Run) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in ("time", "samples_per_s", "memory_gb")} for row in run.metrics()]


def assert_same_losses(one: Run, two: Run, least_rows: int) -> None:
    """Losses within 1e-5, their parts within 1e-4, for all steps that the second run made."""
    recipe, rows, others = one.recipe(), rows_of(one), rows_of(two)
    assert len(rows) >= len(others) >= least_rows
    for row, other in zip(rows, others, strict=False):
        assert row.keys() == other.keys()
        for name, value in row.items():
            close = SAME if name.rpartition("/")[2] in recipe.active else 10 * SAME
            assert other[name] == pytest.approx(value, abs=close, rel=close), (row["step"], name)


def assert_same(one: Run, two: Run, least_rows: int) -> None:
    """As in `test_engine.py`: weights within half a step of Adam, but for biases of attention's keys, whose true
    gradient is zero."""
    assert_same_losses(one, two, least_rows)
    ours, theirs = (load_file(run.latest().folder / "system.safetensors") for run in (one, two))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        if not name.endswith("key.bias"):
            torch.testing.assert_close(theirs[name], tensor, atol=one.recipe().train.lr / 2, rtol=1e-4, msg=name)


@pytest.mark.parametrize("name", RECIPES)
def test_parts_and_the_whole_train_alike(place, name, request):
    if name == "vlmixer-tiny":
        request.getfixturevalue("gallery")
    own = place.folder / f"{name}.yaml"
    command, run = f"pretrain {own if own.exists() else name}", str(place.folder / name)
    steps = STEPS if name in LONG else FEW  # over 20 steps all of them were the same, too
    sets = {"samples": BATCH * steps}
    assert vlzoo(place.words(command, run, **sets)) == 0
    assert vlzoo(place.words(command, f"{run}-parts", accumulate=PARTS, **sets)) == 0
    assert_same(Run(Path(run)), Run(Path(f"{run}-parts")), steps // 2)
    sets = {"samples": BATCH * 4, "checkpointing": "true"}
    assert vlzoo(place.words(command, f"{run}-again", **sets)) == 0
    assert_same_losses(Run(Path(run)), Run(Path(f"{run}-again")), 2)


def test_more_parts_than_samples_are_refused(place, capsys):
    assert vlzoo(place.words("pretrain albef-tiny", str(place.folder / "many"), accumulate=6)) == 2
    said = capsys.readouterr().err
    assert "6 parts (train.accumulate) can't be made of a batch of 5" in said and "to 5 or less" in said
    assert not (place.folder / "many").exists()


@pytest.mark.parametrize("task", TASKS)
def test_fine_tunings_too(place, task):
    start = place.folder / "albef-tiny"
    if not start.exists():
        assert vlzoo(place.words("pretrain albef-tiny", str(start))) == 0
    runs = [place.folder / f"{task}-{parts}" for parts in (1, PARTS)]
    for run, parts in zip(runs, (1, PARTS), strict=True):
        words = place.words(f"finetune {task} --from {start}", str(run), samples=BATCH * 4, accumulate=parts)
        assert vlzoo(words) == 0
    assert_same(*map(Run, runs), 4)


def test_parts_in_several_processes_and_a_resume_in_one(place, capsys):
    """A batch is cut for the processes, and each computes its share in parts; who goes on may use other parts."""
    whole, run = place.folder / "whole", place.folder / "both"
    sets = {"save_every": 10, "keep": 2, "samples": BATCH * 12}
    assert vlzoo(place.words("pretrain albef-tiny", str(whole), **sets)) == 0
    jobs = [place.words("pretrain albef-tiny", str(run), accumulate=2, **sets)]
    (place.folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = [*TORCHRUN, str(HERE / "together.py"), "jobs.json"]
    done = subprocess.run(words, cwd=place.folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same(Run(whole), Run(run), 12)
    shutil.rmtree(Run(run).latest().folder)
    assert vlzoo([*place.words("pretrain albef-tiny", str(run), accumulate=3, **sets), "--resume"]) == 0
    assert "going on from step 10 of 12" in capsys.readouterr().err
    assert_same(Run(whole), Run(run), 12)
