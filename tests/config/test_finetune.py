"""The recipe of a fine-tuning: what it takes from its run, and what it does not."""

from __future__ import annotations

from copy import deepcopy

import pytest

from vlzoo.config.check import check
from vlzoo.config.compose import compose
from vlzoo.config.finetune import task_recipe

RUN = """\
extends: albef-tiny
bench: {data: {part: scenes, split: test}, k: 24, grounding: {mode: gradcam}}
"""


@pytest.fixture
def run(tmp_path):
    """The recipe of a run that is measured on captions."""
    (tmp_path / "captions.yaml").write_text(RUN)
    return compose(str(tmp_path / "captions.yaml"))


@pytest.mark.parametrize(
    ("task", "recipe", "data", "k"),
    [
        ("vqa", "tasks/vqa-tiny", None, 16),
        ("nlvr2", "tasks/nlvr2-tiny", None, 24),
        ("grounding", "tasks/grounding-tiny", "scenes-refcoco", 32),  # names its own; extends retrieval-tiny
    ],
)
def test_data_to_measure_on_are_the_tasks_and_options_the_runs(run, task, recipe, data, k):
    bench = task_recipe(task, run, recipe=recipe).recipe.bench
    assert (bench.data and bench.data.part, bench.model_extra["k"]) == (data, k)
    assert bench.model_extra["grounding"] == {"mode": "gradcam"}


def test_one_task_leaves_nothing_to_the_next(run):
    before = task_recipe("vqa", run).recipe
    assert task_recipe("captioning", run).recipe.model.decoder.options["reads"] == "image"
    assert task_recipe("vqa", run).recipe == before and "decoder" not in run.data["model"]


def test_data_that_a_run_names_for_a_task_hold(run):
    run.data["finetune"]["vqa"] = {
        "extends": "tasks/vqa-tiny",
        "bench": {"data": {"part": "scenes-vqa", "split": "val"}},
    }
    assert task_recipe("vqa", run).recipe.bench.data.options == {"split": "val"}


def test_one_task_s_recipe_leaves_the_run_s_as_it_was(run):
    """Sizes that the first task asks for must not be the second one's."""
    before = deepcopy(run.data)
    task_recipe("captioning", run, sets=["model.image_encoder.image_size=128"])
    assert run.data == before
    assert task_recipe("vqa", run).recipe.model.image_encoder.options["image_size"] == 64


@pytest.mark.parametrize("method", ["blip", "blip-tiny", "coca", "coca-tiny", "flamingo-tiny", "git", "git-tiny"])
def test_a_decoder_that_has_learned_to_write_goes_on(method):
    """tasks/captioning names a decoder of six layers for models that have none, and -tiny one of one layer."""
    run = compose(method)
    before, made = check(run, method).recipe, task_recipe("captioning", run)
    assert made.recipe.model.decoder == before.model.decoder
    assert made.recipe.train.epochs == (None if method.endswith("tiny") else 5)  # of tasks/captioning-tiny, -captioning


@pytest.mark.parametrize("method", ["coca", "git"])
def test_captions_trained_as_wholes_keep_the_decoder_that_wrote_them(method):
    written = task_recipe("captioning", compose(method))
    rewarded = task_recipe("captioning", written.tree, recipe="tasks/captioning-scst").recipe
    assert rewarded.model.decoder == written.recipe.model.decoder and set(rewarded.active) == {"scst"}
