"""`train.accumulate` and `train.checkpointing`: less is kept, and training goes as it goes without."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from vlzoo.cli.main import run as vlzoo
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.runs.run import Run

_spec = importlib.util.spec_from_file_location("alike", Path(__file__).resolve().with_name("alike.py"))
assert _spec and _spec.loader
alike = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(alike)
assert_same, assert_same_losses = alike.assert_same, alike.assert_same_losses

HERE = Path(__file__).resolve().parent
BATCH, STEPS, FEW, PARTS = 5, 20, 5, 3
"""Uneven parts: of one row, two and two."""
LONG = ("albef-tiny", "xvlm")
TASKS = ("vqa", "nlvr2")


@dataclass
class Place:
    """A folder with a corpus, in which trainings run."""

    folder: Path

    def words(self, command: str, out: str = "", **sets: object) -> list[str]:
        """The command line of a training."""
        given = {"samples": BATCH * STEPS, "batch": BATCH, "schedule": "constant", "warmup_samples": 0, **sets}
        return alike.words_of(self.folder, command, out, **given)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    make_scenes(folder / "scenes", Sizes.split(60, 4, 4), seed=3, workers=1)
    # With the cap and the repeats that two processes would draw otherwise.
    alike.write_recipes(folder, batch=4, rows="patch: 16")
    return Place(folder)


@pytest.fixture(scope="module")
def gallery(place):
    alike.make_gallery(place.folder)


@pytest.mark.parametrize("name", alike.RECIPES)
def test_parts_and_the_whole_train_alike(place, name, request):
    if name in alike.GALLERY:
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


def test_parts_in_several_processes_and_a_resume_in_one(place, capsys, forking):
    """A batch is cut for the processes, and each computes its share in parts; who goes on may use other parts."""
    whole, run = place.folder / "whole", place.folder / "both"
    sets = {"save_every": 10, "keep": 2, "samples": BATCH * 12}
    assert vlzoo(place.words("pretrain albef-tiny", str(whole), **sets)) == 0
    jobs = [place.words("pretrain albef-tiny", str(run), accumulate=2, **sets)]
    (place.folder / "jobs.json").write_text(json.dumps(jobs))
    words = [*alike.TORCHRUN, str(HERE / "together.py"), "jobs.json"]
    options = {"cwd": place.folder, "env": alike.environment(), "capture_output": True, "text": True}
    done = forking.run(words, **options, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same(Run(whole), Run(run), 12)
    shutil.rmtree(Run(run).latest().folder)
    assert vlzoo([*place.words("pretrain albef-tiny", str(run), accumulate=3, **sets), "--resume"]) == 0
    assert "going on from step 10 of 12" in capsys.readouterr().err
    assert_same(Run(whole), Run(run), 12)
