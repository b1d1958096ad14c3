"""Official checkpoints of TCL: state dicts written out under the official names (models/model_*.py, uta-smile/TCL).

TCL is a fork of ALBEF's code and registers not one parameter or buffer more: momentum twins end in `_m`, features are
`image_queue` and `text_queue` with `queue_ptr` (and `idx_queue` in retrieval), heads `itm_head`, `text_encoder.cls`.
"""

from __future__ import annotations

import importlib.util

import pytest
import torch
from vlzoo_tcl.triple import TCL
from vlzoo_tcl.weights import TclAdapter

from vlzoo.bench.engine import load_run
from vlzoo.cli.main import run as vlzoo
from vlzoo.config.check import load
from vlzoo.config.finetune import task_recipe
from vlzoo.runs.run import Run
from vlzoo.testing import check_adapter

HEADS = ("--option", "heads=4", "--option", "image_heads=4")


@pytest.fixture(scope="module")
def official(root):
    """The builder of tiny official state dicts that the core's tests have."""
    spec = importlib.util.spec_from_file_location("vlzoo_official", root / "tests" / "weights" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def converted(official, tmp_path):
    """`vlzoo weights convert` of a file as Pretrain.py and Retrieval.py save it; the run folder, and the state."""

    def convert(adapter: str, kind: str):
        state = official.Official().of(kind)
        file, vocab = tmp_path / "checkpoint_29.pth", tmp_path / "vocab.txt"
        torch.save({"model": state, "optimizer": {}, "lr_scheduler": {}, "config": {}, "epoch": 29}, file)
        vocab.write_text("".join(f"{word}\n" for word in official.WORDS), encoding="utf-8")
        out = tmp_path / f"{adapter}-{kind}"
        assert vlzoo(["weights", "convert", adapter, str(file), "--out", str(out), "--vocab", str(vocab), *HEADS]) == 0
        return out, state

    return convert


@pytest.mark.parametrize("kind", ["pretrain", "retrieval"])
def test_a_checkpoint_becomes_a_run_of_tcl(converted, capsys, kind):
    out, state = converted("tcl", kind)
    said = capsys.readouterr().out
    assert "unexpected" not in said and "missing" not in said
    recipe = Run(out).recipe()
    assert (recipe.rows.part, recipe.active["itc"].part, recipe.needs) == ("two_views", "tcl", ["vlzoo-tcl"])
    assert (recipe.augment.train.part, recipe.augment.train.options["size"]) == ("strong", 12)
    assert recipe.about.startswith(f"TCL, {kind}") and "Triple Contrastive" in recipe.paper
    assert recipe.active["itc"].options["targets"] == ("one-hot" if kind == "pretrain" else "image-id")
    system = load_run(out).system
    itc = system.named_objectives()["itc"]
    assert isinstance(itc, TCL) and system.offered("contrast") is itc
    assert torch.equal(itc.queue.image, state["image_queue"].T) and torch.equal(itc.queue.text, state["text_queue"].T)
    assert int(itc.queue.place) == 2
    twin = Run(out).latest().tensors("teacher")["model.text_projection.weight"]
    assert torch.equal(twin, state["text_proj_m.weight"])
    assert Run(out).card().origin.startswith("TCL") and Run(out).card().licence == "MIT"


def test_albefs_adapter_reads_it_as_well_and_gives_the_same_weights(converted):
    (ours, _), (albefs, _) = converted("tcl", "pretrain"), converted("albef", "pretrain")
    for name in ("system", "teacher"):
        ours_tensors, albefs_tensors = (Run(each).latest().tensors(name) for each in (ours, albefs))
        assert ours_tensors.keys() == albefs_tensors.keys()
        assert all(torch.equal(ours_tensors[each], albefs_tensors[each]) for each in ours_tensors)


def test_its_fine_tunings_are_tcls(converted):
    """Of the converted run as of one that was trained: two views and the triple contrast in retrieval."""
    out, _ = converted("tcl", "pretrain")
    for task in ("retrieval", "vqa", "nlvr2", "snli-ve"):
        ours, trained = (task_recipe(task, tree).recipe for tree in (Run(out).tree(), load("tcl").tree))
        assert (ours.rows, ours.objectives, ours.augment.train) == (
            trained.rows,
            trained.objectives,
            trained.augment.train,
        )
        assert (ours.rows.part == "two_views") == (task == "retrieval")
        assert (ours.augment.train.part, ours.augment.train.options["scale"]) == ("strong", [0.5, 1.0])


@pytest.mark.parametrize("kind", ["vqa", "nlvr2", "snli-ve", "text-assignment"])
def test_a_task_without_a_contrast_is_as_albefs(official, kind):
    state = official.Official().of(kind)
    made = TclAdapter(heads=4, image_heads=4).convert(state)
    assert made.unexpected == () and set(made.places) | set(made.repeated) == set(state)
    assert "rows" not in made.recipe and made.recipe["about"].startswith("TCL")


def test_a_file_without_momentum_twins_can_be_measured_though_not_go_on_as_tcl(official):
    state = {name: tensor for name, tensor in official.Official().of("pretrain").items() if "_m." not in name}
    made = TclAdapter(heads=4, image_heads=4).convert(state)
    assert "part" not in made.recipe["objectives"]["itc"] and "rows" not in made.recipe


@pytest.mark.parametrize("kind", ["pretrain", "retrieval"])
def test_the_adapter_keeps_to_what_adapters_promise(official, kind):
    check_adapter("tcl", official.Official().of(kind), options={"heads": 4, "image_heads": 4})
