"""The recipe of a fine-tuning: what it takes from its run, and what it does not."""

from __future__ import annotations

from copy import deepcopy

import pytest

from vlzoo.config.check import check
from vlzoo.config.compose import compose
from vlzoo.config.finetune import task_recipe
from vlzoo.errors import RecipeError

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


PROMPTED = """\
extends: albef-tiny
finetune:
  captioning:
    extends: tasks/captioning-tiny
    rows: {prompt: a picture of}
    bench: {captioning: {prompt: a picture of}}
"""


@pytest.fixture
def captioner(tmp_path):
    """The recipe of a run that was fine-tuned to write captions behind a prompt."""
    (tmp_path / "prompted.yaml").write_text(PROMPTED)
    return task_recipe("captioning", compose(str(tmp_path / "prompted.yaml"))).tree


def test_captions_trained_behind_another_prompt_than_they_are_asked_for_are_refused(captioner):
    """`bench` is inherited and `rows` are not: SCST would go on without the prompt that captions are written behind."""
    call = {"recipe": "tasks/captioning-scst-tiny"}
    with pytest.raises(RecipeError) as raised:
        task_recipe("captioning", captioner, **call)
    (problem,) = raised.value.problems
    assert problem.path == "rows.prompt"
    assert problem.what == "texts begin with no prompt here, and with 'a picture of' where captioning is measured"
    assert "rows: {prompt: a picture of}" in problem.fix
    found = task_recipe("captioning", captioner, **call, sets=["rows.prompt=a picture of"]).recipe
    assert found.rows.options == {"references": True, "prompt": "a picture of"}
    neither = task_recipe("captioning", captioner, **call, sets=["bench.captioning.prompt=''"]).recipe
    assert "prompt" not in neither.rows.options
    with pytest.raises(RecipeError, match="texts begin with 'a photo of' here, and with 'a picture of'"):
        task_recipe("captioning", captioner, **call, sets=["rows.prompt=a photo of"])


def test_a_streams_own_prompt_counts_and_what_is_measured_of_a_task_that_has_none_does_not(captioner, run):
    streams = "streams=[{data: {part: scenes, split: train}, rows: {prompt: a photo of}}]"
    call = {"recipe": "tasks/captioning-scst-tiny", "sets": ["data=null", streams, "rows.prompt=a picture of"]}
    with pytest.raises(RecipeError) as raised:
        task_recipe("captioning", captioner, **call)
    assert [problem.path for problem in raised.value.problems] == ["streams[0].rows.prompt"]
    # VQA has no option `prompt`; it is captioning's that the run says.
    run.data["bench"]["captioning"] = {"prompt": "a picture of"}
    assert task_recipe("vqa", run).recipe.bench.model_extra["captioning"]["prompt"] == "a picture of"


@pytest.mark.parametrize("method", ["blip", "blip-tiny", "coca", "coca-tiny", "flamingo-tiny", "git", "git-tiny"])
def test_a_decoder_that_has_learned_to_write_goes_on(method):
    """tasks/captioning names a decoder of six layers for models that have none, and -tiny one of one layer."""
    run = compose(method)
    before, made = check(run, method).recipe, task_recipe("captioning", run)
    assert made.recipe.model.decoder == before.model.decoder
    assert made.recipe.train.epochs == (None if method.endswith("tiny") else 5)  # of tasks/captioning-tiny, -captioning


@pytest.mark.parametrize("method", ["simvlm", "simvlm-tiny"])
def test_simvlm_goes_on_by_its_own_loss_behind_a_prompt(method):
    run = compose(method)
    made = task_recipe("captioning", run).recipe
    assert made.model.decoder == check(run, method).recipe.model.decoder and set(made.active) == {"prefix_lm"}
    prompts = [made.rows.prompt, made.bench.model_dump()["captioning"]["prompt"]]
    assert prompts == ["a picture of"] * 2


@pytest.mark.parametrize("method", ["coca", "git"])
def test_captions_trained_as_wholes_keep_the_decoder_that_wrote_them(method):
    written = task_recipe("captioning", compose(method))
    rewarded = task_recipe("captioning", written.tree, recipe="tasks/captioning-scst").recipe
    assert rewarded.model.decoder == written.recipe.model.decoder and set(rewarded.active) == {"scst"}
