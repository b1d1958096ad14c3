"""The recipes: what differs from ALBEF's, and a run by the command line: trained, stopped, resumed, measured."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch

from vlzoo.cli.main import run as vlzoo
from vlzoo.config.check import load
from vlzoo.config.finetune import task_recipe
from vlzoo.runs.run import Run


def test_paper_size_is_albefs_but_for_contrast_views_and_augmentation():
    """configs/Pretrain.yaml of uta-smile/TCL is ALBEF's; dataset/__init__.py has the strong augmentation."""
    albef, ours = load("albef").recipe, load("tcl").recipe
    for section in ("model", "tokenizer", "teacher", "train", "data", "start"):
        assert getattr(albef, section) == getattr(ours, section)
    assert ours.active["itc"].model_dump() == {"part": "tcl", "weight": 1.0, "begins": 0.0, "queue": 65536, "cells": 4}
    assert {name: ours.active[name] for name in ("itm", "mlm")} == {name: albef.active[name] for name in ("itm", "mlm")}
    assert ours.rows.part == "two_views"
    assert ours.augment.train.model_dump() == {"part": "strong", "size": 256, "scale": [0.2, 1.0]}


@pytest.mark.parametrize("task", ["retrieval", "vqa", "nlvr2", "snli-ve", "grounding"])
def test_fine_tuning_has_two_views_in_retrieval_alone(task):
    recipe = task_recipe(task, load("tcl").tree).recipe
    assert (recipe.rows.part == "two_views") == (task == "retrieval")
    if task == "retrieval":
        itc = recipe.active["itc"]
        assert (itc.part, itc.options) == ("tcl", {"queue": 65536, "targets": "image-id", "cells": 4})
    # Grounding resizes and changes no colour (dataset/__init__.py).
    expected = ("weak", None) if task == "grounding" else ("strong", [0.5, 1.0])
    assert (recipe.augment.train.part, recipe.augment.train.options["scale"]) == expected


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Scenes, and TCL trained on them for four steps, as a user would."""
    folder = tmp_path_factory.mktemp("tcl")
    assert vlzoo(["data", "make", "scenes", "--images", "60", "--seed", "0", "--out", str(folder / "scenes")]) == 0
    assert pretrain(folder) == 0
    return folder


def changes(*sizes: str) -> list[str]:
    return [word for size in sizes for word in ("--set", size)]


def pretrain(folder, *more: str) -> int:
    sizes = ("train.samples=32", "train.batch=8", "train.save_every=2", "train.keep=2", "train.workers=0")
    sizes = (*sizes, "train.warmup_samples=8", "objectives.itc.queue=16", "train.log_every=1")
    out = ["--out", str(folder / "run"), "--data-root", str(folder)]
    return vlzoo(["pretrain", "tcl-tiny", *out, *changes(*sizes), *more])


def test_a_stopped_run_goes_on_to_the_same_weights(trained):
    run = Run(trained / "run")
    names = ("system", "teacher")
    whole = {name: run.latest().tensors(name) for name in names}
    assert run.latest().step == 4
    shutil.rmtree(run.latest().folder)
    assert run.latest().step == 2
    assert pretrain(trained, "--resume") == 0
    assert run.latest().step == 4
    for name in names:
        again = run.latest().tensors(name)
        assert again.keys() == whole[name].keys()
        assert all(torch.equal(again[each], whole[name][each]) for each in again)


def test_what_is_logged(trained):
    row = json.loads((trained / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    terms = [row[f"tcl_{name}"] for name in ("i2t", "t2i", "i2i", "t2t", "local_i", "local_t")]
    assert row["itc"] == pytest.approx(sum(terms) / 6, rel=1e-6)
    assert {"itm", "mlm", "temperature"} <= set(row)


@pytest.mark.parametrize("task", ["retrieval", "vqa", "nlvr2", "snli-ve"])
def test_every_task_works_from_a_run(trained, task):
    run, data = str(trained / "run"), str(trained)
    sizes = changes("train.samples=16", "train.batch=8", "train.warmup_samples=0", "train.workers=0")
    assert vlzoo(["finetune", task, "--from", run, "--data-root", data, *sizes]) == 0
    tuned = trained / "run" / "finetune" / task
    assert load(str(tuned / "recipe.yaml")).recipe.augment.train.part == "strong"
    for measured in (str(tuned), run) if task == "retrieval" else (str(tuned),):
        scores = trained / f"{task}.json"
        assert vlzoo(["bench", task, "--run", measured, "--data-root", data, "--json-file", str(scores)]) == 0
        assert json.loads(scores.read_text(encoding="utf-8"))


def test_retrieval_ranks_by_its_embeddings_too(trained):
    """What offers `contrast` can be ranked by cosine."""
    scores = trained / "cosine.json"
    measured = ["--run", str(trained / "run"), "--protocol", "itc", "--data-root", str(trained)]
    assert vlzoo(["bench", "retrieval", *measured, "--json-file", str(scores)]) == 0
    assert json.loads(scores.read_text(encoding="utf-8"))[0]["protocol"] == "retrieval/itc"


def test_rows_of_one_view_are_refused_and_leave_nothing(trained, capsys):
    out = trained / "one-view"
    assert vlzoo(["pretrain", "tcl-tiny", "--out", str(out), "--data-root", str(trained), "--set", "rows=pairs"]) == 2
    assert (
        "objective tcl compares two views, and these rows give one\n  -> say `rows: two_views`"
        in capsys.readouterr().err
    )
    assert not out.exists()
    assert vlzoo(["check", "--cost", "tcl-tiny", "--set", "rows=pairs"]) == 2
    assert "compares two views" in capsys.readouterr().err
    assert vlzoo(["check", "--cost", "tcl-tiny"]) == 0


def test_the_plugin_is_as_short_as_its_readme_says(root):
    """The issue's bound, and the number in README.md."""
    folder = root / "plugins" / "vlzoo-tcl"
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in (folder / "vlzoo_tcl").rglob("*.py"))
    assert lines <= 150
    (said,) = re.findall(r"\*\*(\d+) lines\*\*", (folder / "README.md").read_text(encoding="utf-8"))
    assert int(said) == lines
