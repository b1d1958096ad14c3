"""The recipes: the official settings, and the tiny one by the command line: trained, stopped, resumed, measured."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from vlzoo.cli.main import run as vlzoo
from vlzoo.config.check import load
from vlzoo.config.finetune import task_recipe
from vlzoo.runs.run import Run

METHODS = ("xvlm-base-4m", "xvlm-base-16m", "xvlm-vit-4m", "xvlm-clip-4m", "xvlm-tiny")


@pytest.mark.parametrize("name", METHODS)
def test_regions_are_drawn_at_every_second_step_and_only_they_have_boxes(name):
    recipe = load(name).recipe
    regions, pairs = recipe.streams
    assert (regions.probability, pairs.probability) == (0.5, 1.0)
    assert regions.objectives is None and pairs.objectives == ["itc", "itm", "mlm"]
    assert regions.rows.part == "regions" and regions.augment.part == "around_box" and pairs.rows is None
    assert recipe.teacher is None and set(recipe.active) == {"itc", "itm", "mlm", "box"}


@pytest.mark.parametrize(("name", "gpus", "epochs", "most", "words"), [("4m", 8, 41, 8, 40), ("16m", 24, 38, 6, 30)])
def test_paper_size_is_the_official_configuration(name, gpus, epochs, most, words):
    """Pretrain_XVLM_base_4m.yaml and _16m.yaml: sizes a GPU, times the GPUs of the paper (reference METHODS 5.5)."""
    recipe = load(f"xvlm-base-{name}").recipe
    train, regions = recipe.train, recipe.streams[0]
    assert (train.batch, train.epochs, regions.batch) == (128 * gpus, epochs, 48 * gpus)
    assert regions.rows.options["rows"] == 128 * gpus and regions.rows.options["each"] == 5
    assert (train.lr, train.fresh_factor, train.weight_decay, train.betas) == (1e-4, 2.0, 0.01, (0.9, 0.98))
    assert train.warmup_samples == 2500 * (train.batch + regions.batch / 2) and train.clip == 1.0
    assert recipe.active["mlm"].options == {"probability": 0.25, "most": most}
    assert recipe.tokenizer.max_length == words


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("task", ["retrieval", "vqa", "nlvr2", "snli-ve", "grounding", "captioning"])
def test_fine_tunings_are_whole_recipes(name, task):
    recipe = task_recipe(task, load(name).tree).recipe
    assert recipe.task == task and recipe.teacher is None
    assert recipe.bench.data is None or recipe.bench.data.part == recipe.all_streams[0].data.part
    if task == "grounding":
        assert (
            set(recipe.active) == {"box"}
            and recipe.rows.part == "regions"
            and recipe.bench.model_extra["mode"] == "boxes"
        )
    if task == "captioning":
        assert recipe.model.text_encoder is None and recipe.model.fusion is None
        assert recipe.model.decoder.part == "multimodal" and recipe.rows.options["prompt"] == "a picture of"
    if task in ("nlvr2", "snli-ve") and name != "xvlm-tiny":
        assert recipe.active["classify"].options["head"] == "mlp"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Scenes, and X-VLM trained on them for four steps, as a user would."""
    folder = tmp_path_factory.mktemp("xvlm")
    assert vlzoo(["data", "make", "scenes", "--images", "60", "--seed", "0", "--out", str(folder / "scenes")]) == 0
    assert pretrain(folder) == 0
    return folder


def changes(*sizes: str) -> list[str]:
    return [word for size in sizes for word in ("--set", size)]


def pretrain(folder, *more: str) -> int:
    sizes = ("train.samples=48", "train.batch=8", "train.save_every=2", "train.keep=2", "train.workers=0")
    sizes = (*sizes, "train.warmup_samples=8", "train.log_every=1", "streams[0].batch=6", "streams[0].rows.rows=12")
    out = ["--out", str(folder / "run"), "--data-root", str(folder)]
    return vlzoo(["pretrain", "xvlm-tiny", *out, *changes(*sizes), *more])


def test_both_updates_are_logged_and_the_box_is_learned_on_regions_alone(trained):
    rows = [row for row in Run(trained / "run").metrics() if "lr" in row]
    assert all("pairs/itm" in row and "pairs/box_l1" not in row for row in rows)
    assert any("regions/box_l1" in row and "regions/itm" in row for row in rows)


def test_a_resumed_run_has_the_same_weights(trained, tmp_path):
    """Bit for bit: the run that went on from its checkpoint of step 2, against the one without a break."""
    shutil.copytree(trained / "scenes", tmp_path / "scenes")
    shutil.copytree(trained / "run", tmp_path / "run")
    last = Run(trained / "run").latest()
    shutil.rmtree(Run(tmp_path / "run").latest().folder)
    assert pretrain(tmp_path, "--resume") == 0
    again = Run(tmp_path / "run").latest()
    assert again.step == last.step
    ours, theirs = again.tensors("system"), last.tensors("system")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def grounded(trained):
    """`trained`, fine-tuned for boxes."""
    small = changes("train.samples=16", "train.epochs=null", "train.batch=8", "train.workers=0", "rows.rows=8")
    assert vlzoo(["finetune", "grounding", "--from", str(trained / "run"), "--data-root", str(trained), *small]) == 0
    return trained


def test_boxes_are_measured_and_need_no_map(grounded, capsys):
    run, root = str(grounded / "run"), ["--data-root", str(grounded)]
    capsys.readouterr()
    assert vlzoo(["bench", "grounding", "--run", run, *root, "--json"]) == 0
    (figures, *_) = json.loads(capsys.readouterr().out)
    assert figures["mode"] == "boxes" and figures["samples"] > 0
    assert vlzoo(["bench", "retrieval", "--run", run, *root, "--k", "8"]) == 0


def test_the_boxes_that_are_drawn_are_those_that_are_measured(grounded, capsys, tmp_path):
    """`vlzoo explain --boxes` of a sample against the predictions of `vlzoo bench grounding`."""
    root, out = ["--data-root", str(grounded), "--split", "test"], tmp_path / "bench"
    assert vlzoo(["bench", "grounding", "--run", str(grounded / "run"), *root, "--out", str(out)]) == 0
    rows = [json.loads(line) for file in out.rglob("*.jsonl") for line in file.read_text().splitlines()]
    row = next(row for row in rows if "box" in row)
    capsys.readouterr()
    run = ["--run", str(grounded / "run" / "finetune" / "grounding"), "--json", "--out", str(tmp_path / "b.png")]
    assert vlzoo(["explain", "--boxes", "--data", "scenes-refcoco", "--sample", row["name"], *root, *run]) == 0
    told = json.loads(capsys.readouterr().out)
    (found,) = told["runs"][0]["boxes"]
    assert found["box"] == pytest.approx(row["box"], abs=1e-3) and len(found["iou"]) == 1
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_captioning_is_the_official_configuration():
    """configs/Captioning.yaml and Captioning_pretrain_O1.yaml; a tenth of the steps is warm-up."""
    tree = load("xvlm-base-4m").tree
    recipe = task_recipe("captioning", tree).recipe
    train, image = recipe.train, recipe.model.image_encoder.options
    assert (train.lr, train.epochs, train.batch, train.weight_decay, train.betas) == (1e-5, 5, 256, 0.01, (0.9, 0.98))
    assert (image["image_size"], image["arguments"]["window_size"]) == (384, 12)
    assert (recipe.tokenizer.max_length, recipe.tokenizer.sep) == (40, True)
    assert recipe.bench.model_extra["captioning"]["least"] == 5
    domain = task_recipe("captioning", tree, recipe="tasks/xvlm-captioning-domain").recipe
    assert (domain.train.lr, domain.train.epochs, domain.train.batch, domain.train.clip) == (3e-5, 2, 1024, 1.0)
    assert domain.model.image_encoder.options["image_size"] == 224
    assert domain.model.image_encoder.options["arguments"] == {"drop_path_rate": 0.1}  # windows of 7, as pre-trained
    assert domain.rows.options["prompt"] == "" and domain.active["lm"].options == {"smoothing": 0.0}
    for name in ("xvlm-vit-4m", "xvlm-clip-4m"):
        other = task_recipe("captioning", load(name).tree).recipe
        assert "window_size" not in other.model.image_encoder.options.get("arguments", {})


def test_captions_are_fine_tuned_from_the_whole_bert_and_measured(trained, capsys):
    small = changes("train.samples=16", "train.batch=8", "train.workers=0", "train.warmup_samples=8")
    run, root = str(trained / "run"), ["--data-root", str(trained)]
    assert vlzoo(["finetune", "captioning", "--from", run, *root, *small]) == 0
    noted = json.loads((trained / "run" / "finetune" / "captioning" / "start.json").read_text())
    assert noted["fresh"] == ["model.decoder.lower.last"]
    capsys.readouterr()
    assert vlzoo(["bench", "captioning", "--run", run, *root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["metric"] == "CIDEr"
