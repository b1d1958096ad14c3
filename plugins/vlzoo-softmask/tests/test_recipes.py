"""The recipes: what each ablation row switches, that the row without parts is ALBEF, and all tasks from a run."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from vlzoo.cli.main import run as vlzoo
from vlzoo.config.check import load
from vlzoo.config.compose import find_file
from vlzoo.config.finetune import task_recipe
from vlzoo.door.plugins import registry
from vlzoo.models.assemble import build_system
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step

ROWS = {
    "none": (False, 0.0, False),
    "softmask": (True, 0.0, False),
    "focal": (False, 2.0, False),
    "mmda": (False, 0.0, True),
    "softmask-focal": (True, 2.0, False),
    "softmask-mmda": (True, 0.0, True),
    "focal-mmda": (False, 2.0, True),
    "all": (True, 2.0, True),
    "random-0.3": (True, 2.0, True),
    "random-0.5": (True, 2.0, True),
    "soft-mlm": (True, 2.0, True),
    "gamma-0.5": (True, 0.5, True),
    "gamma-1": (True, 1.0, True),
    "gamma-5": (True, 5.0, True),
    "softmask-negatives": (True, 0.0, False),
    "all-negatives": (True, 2.0, True),
    "softmask-text": (True, 0.0, False),
    "softmask-later": (True, 0.0, False),
    "all-text": (True, 2.0, True),
    "all-30": (True, 2.0, True),
    "word-content": (True, 2.0, True),
    "word-mean": (True, 2.0, True),
    "layer-0": (True, 2.0, True),
    "layer-1": (True, 2.0, True),
    "none-30": (False, 0.0, False),
    "mmda-picture": (False, 0.0, True),
    "mmda-text": (False, 0.0, True),
    "mmda-text-30": (False, 0.0, True),
    "mmda-teacher": (False, 0.0, True),
}
"""Name, soft masks, gamma, MMDA: the paper's component table, its mask and loss tables, our sweep of gamma,
soft ITM with negatives or begun later, other words and layers, the augmentation in its parts, more words masked."""
HALVES = {"mmda-picture": ("strong", "full"), "mmda-text": ("weak", "masked"), "mmda-text-30": ("weak", "masked")}
NEGATIVES = {"softmask-negatives": "reuse", "all-negatives": "reuse", "softmask-text": "text", "all-text": "text"}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_switches_what_its_name_says(row):
    soft, gamma, mmda = ROWS[row]
    recipe = load(f"ablations/softmask/{row}").recipe
    active = recipe.active
    assert ("soft_itm" in active, recipe.token_mask is not None) == (soft, soft)
    assert "itc" not in active
    assert active["focal_itc"].options["gamma"] == gamma
    augmentation = recipe.augment.train.options
    wanted = ("strong", "masked") if mmda else ("weak", "full")
    assert (augmentation["picture"], augmentation["text"]) == HALVES.get(row, wanted)
    assert (augmentation.get("teacher_text") == "full") == (row == "mmda-teacher")
    assert (active["mlm"].options.get("probability") == 0.3) == row.endswith("-30")
    if row.startswith("random"):
        assert recipe.token_mask.model_dump() == {"part": "random", "probability": float(row.removeprefix("random-"))}
    if soft:
        assert active["soft_itm"].options["mlm"] is (row == "soft-mlm")
        assert active["soft_itm"].options["negatives"] == NEGATIVES.get(row, "none")
        assert active["soft_itm"].begins == (0.25 if row == "softmask-later" else 0.0)
        given = f"{recipe.token_mask.part}: {recipe.token_mask.options}"
        assert row.partition("-")[2] in given if row.startswith(("word-", "layer-")) else "random" in given


def test_there_is_a_file_for_every_row_and_no_other():
    folder = find_file("ablations/softmask/none").parent
    assert {file.stem for file in folder.glob("*.yaml")} == set(ROWS)


def test_paper_size_is_albefs_but_for_the_three_parts():
    albef, ours = load("albef").recipe, load("softmaskpp").recipe
    for section in ("model", "tokenizer", "teacher", "train", "data"):
        assert getattr(albef, section) == getattr(ours, section)
    assert load("ablations/softmask/all").recipe.active == ours.active


def tiny(row: str, folder, recipe: str = "softmaskpp-tiny"):
    """A row at tiny size, as benchmarks/ablations.py makes it."""
    text = find_file(f"ablations/softmask/{row}").read_text(encoding="utf-8")
    file = folder / f"{row}.yaml"
    file.write_text(text.replace("extends: softmaskpp\n", f"extends: {recipe}\n"), encoding="utf-8")
    return load(str(file)).recipe


def losses_of(system, recipe, batch) -> dict[str, torch.Tensor]:
    augmentation = registry().build("augmentation", recipe.augment.train.part, **recipe.augment.train.options)
    plan = Plan().gather(system.named_objectives(), augmentation=augmentation, token_mask=system.token_mask)
    step = Step(batch, system.model, plan=plan)
    return {name: loss.total for name, loss in system(step).by_name.items()}


def test_the_row_without_parts_is_albef(toy, tmp_path):
    """On the same weights: the same losses, bit for bit."""
    from dataclasses import replace

    albef, none = load("albef-tiny").recipe, tiny("none", tmp_path)
    first, second = (build_system(recipe, vocab=toy.VOCAB) for recipe in (albef, none))
    renamed = {name.replace("objectives.itc.", "objectives.focal_itc."): v for name, v in first.state_dict().items()}
    second.load_state_dict(renamed)
    batch = toy.batch(6)
    batch = replace(batch, images={"image": torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))})
    expected, found = losses_of(first, albef, batch), losses_of(second, none, batch)
    assert torch.equal(found["focal_itc"], expected["itc"])
    assert all(torch.equal(found[name], expected[name]) for name in ("itm", "mlm"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Scenes, and SoftMask++ trained on them for four steps, as a user would."""
    folder = tmp_path_factory.mktemp("softmask")
    assert vlzoo(["data", "make", "scenes", "--images", "60", "--seed", "0", "--out", str(folder / "scenes")]) == 0
    assert pretrain(folder) == 0
    return folder


def pretrain(folder, *more: str) -> int:
    sizes = ("train.samples=32", "train.batch=8", "train.save_every=2", "train.keep=2", "train.workers=0")
    sizes = (*sizes, "train.warmup_samples=8", "objectives.focal_itc.queue=16", "train.log_every=1")
    sets = [word for size in sizes for word in ("--set", size)]
    out = ["--out", str(folder / "run"), "--data-root", str(folder)]
    return vlzoo(["pretrain", "softmaskpp-tiny", *out, *sets, *more])


def test_a_stopped_run_goes_on_to_the_same_weights(trained):
    run = trained / "run"
    whole = Run(run).latest().tensors("system")
    assert Run(run).latest().step == 4
    shutil.rmtree(Run(run).latest().folder)
    assert Run(run).latest().step == 2
    assert pretrain(trained, "--resume") == 0
    again = Run(run).latest().tensors("system")
    assert Run(run).latest().step == 4
    assert all(torch.equal(again[name], whole[name]) for name in whole)


def test_what_is_logged(trained):
    row = json.loads((trained / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert {"focal_itc", "itm", "mlm", "soft_itm", "soft_mask"} <= set(row)
    assert 0 < row["soft_mask"] < 1


@pytest.mark.parametrize("task", ["retrieval", "vqa", "nlvr2", "snli-ve"])
def test_every_task_works_from_a_run(trained, task, capsys):
    """Fine-tuned with weak pictures and full text, and measured; retrieval also as pre-trained."""
    run, data = str(trained / "run"), str(trained)
    sets = ("train.samples=16", "train.batch=8", "train.warmup_samples=0", "train.workers=0")
    changes = [word for size in sets for word in ("--set", size)]
    assert vlzoo(["finetune", task, "--from", run, "--data-root", data, *changes]) == 0
    tuned = trained / "run" / "finetune" / task
    assert load(str(tuned / "recipe.yaml")).recipe.augment.train.part == "weak"
    capsys.readouterr()
    for measured in (str(tuned), run) if task == "retrieval" else (str(tuned),):
        scores = trained / f"{task}.json"
        assert vlzoo(["bench", task, "--run", measured, "--data-root", data, "--json-file", str(scores)]) == 0
        assert json.loads(scores.read_text(encoding="utf-8"))


def test_no_tiny_task_masks_the_words_of_a_run_that_did(trained):
    """A task recipe that names no augmentation takes the run's; the run's own wishes name one for the other tasks."""
    for name, task in (("grounding", "grounding"), ("text-assignment", "retrieval"), ("vqa", "vqa")):
        tuned = task_recipe(task, Run(trained / "run").tree(), recipe=f"tasks/{name}-tiny").recipe
        assert tuned.augment.train.model_dump() == load("albef-tiny").recipe.augment.train.model_dump()


def test_the_cost_refuses_what_training_would(capsys):
    assert vlzoo(["check", "--cost", "softmaskpp-tiny", "--set", "token_mask=null"]) == 2
    assert "the recipe names no token mask" in capsys.readouterr().err
    assert vlzoo(["check", "--cost", "softmaskpp-tiny", "--set", "token_mask.layer=1"]) == 2
    assert "fusion layer 1 is the last one" in capsys.readouterr().err


def test_a_mask_that_wants_a_vocabulary_has_a_cost(capsys):
    """The tokenizer of softmaskpp-tiny is made of data that `check` does not read."""
    assert vlzoo(["check", "--cost", "softmaskpp-tiny", "--set", "token_mask.word=content"]) == 0
    assert "objective soft_itm" in capsys.readouterr().out


def test_a_recipe_says_which_package_it_needs(tmp_path, capsys):
    """As where the plugin is not installed."""
    file = tmp_path / "mine.yaml"
    file.write_text("extends: albef-tiny\nneeds: [vlzoo-softmask, vlzoo-nowhere]\n", encoding="utf-8")
    assert vlzoo(["check", str(file)]) != 0
    said = capsys.readouterr().err
    assert "mine.yaml:2" in said
    assert "needs[1]: the package 'vlzoo-nowhere' is not installed" in said
    assert "pip install vlzoo-nowhere" in said
    assert "vlzoo-softmask'" not in said
