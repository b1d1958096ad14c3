"""What keeps two measurements from being compared, each with its remedy."""

import json

import numpy as np
import pytest

from vlzoo.metrics.figures import Figures
from vlzoo.report.alike import differences, options_that_differ, remedy
from vlzoo.runs.scores import read

RIGHT = np.arange(10) < 5


def score(protocol="official"):
    return Figures("vqa", f"vqa/{protocol}").hits("accuracy", RIGHT)


@pytest.mark.parametrize(
    ("changed", "what", "fix"),
    [
        ({"data": "scenes/val"}, "split scenes/val, not scenes/test", "on scenes/test with fingerprint f1"),
        ({"data": "coco/test"}, "data coco/test, not scenes/test", "on scenes/test with fingerprint f1"),
        ({"fingerprint": "f2"}, "fingerprint f2, not f1", "with fingerprint f1"),
        ({"k": 8}, "k 8, not 16", "vlzoo bench vqa --run b --k 16; or let it pass: --allow k"),
        ({"mode": "generate"}, "mode generate, not rank", "--mode rank; or let it pass: --allow mode"),
        ({"precision": "bf16"}, "precision bf16, not fp32", "--precision fp32; or let it pass: --allow precision"),
        ({"missing": 3}, "missing 3, not 0", "with the same pictures there"),
        ({"recipe": {"task": None}}, "training pre-trained alone, not fine-tuned for vqa", "compare runs that"),
    ],
)
def test_each_difference_is_told_with_a_remedy(measured, changed, what, fix):
    known = {"k": 16, "mode": "rank", "missing": 0, "recipe": {"task": "vqa"}}
    base = measured("a", score(), **known)
    other = measured("b", score(), **{**known, **changed})
    assert differences(base, base) == []
    found = differences(base, other)
    assert len(found) == 1
    assert what in str(found[0])
    assert fix in remedy(base, other, "b", found)


def test_another_protocol(measured):
    base, other = measured("a", score()), measured("b", score("albef-2021"), protocol="albef-2021")
    found = differences(base, other)
    assert [str(each) for each in found] == ["protocol vqa/albef-2021, not vqa/official"]
    assert remedy(base, other, "b", found) == "vlzoo bench vqa --run b --protocol official"


def test_predictions_that_lie_apart_are_made_again_from_their_run(measured):
    base, run = measured("a", score()), measured("b", score())
    apart = measured("apart", score("albef-2021"), protocol="albef-2021", run="b")
    (apart.run.folder / "recipe.yaml").unlink()  # as with `bench --run b --out apart`
    assert apart.measured_run.folder == run.run.folder
    said = remedy(base, apart, "apart", differences(base, apart))
    assert said == "vlzoo bench vqa --run b --out apart --protocol official"


def test_training_data_are_not_held_out_ones(measured):
    base, other = measured("a", score()), measured("b", score())
    told = json.loads(other.file.read_text())
    told["scores"][0]["data"] += " (trained on)"
    other.file.write_text(json.dumps(told))
    assert [str(each) for each in differences(base, read(other.run, other.file))] == ["data trained on, not held out"]


def checkpoints(measurement, *steps):
    """Checkpoints of a run, as far as they are looked for."""
    for step in steps:
        folder = measurement.run.folder / f"checkpoints/step-{step:09d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "state.json").write_text("{}")


def test_the_best_of_one_run_is_not_compared_with_the_last_of_another(measured):
    last, best = measured("a", score(), checkpoint=100), measured("b", score(), checkpoint=40)
    checkpoints(last, 100)
    checkpoints(best, 40, 80)
    rows = [{"step": 40, "validation/accuracy": 9.0}, {"step": 80, "validation/accuracy": 7.0}]
    (best.run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = differences(last, best)
    assert [each.what for each in found] == ["checkpoint"]
    assert "the best by validation, step 40, not the last, step 100" in str(found[0])
    assert "--checkpoint last; or let it pass: --allow checkpoint" in remedy(last, best, "b", found)


@pytest.mark.parametrize(("steps", "alike"), [((100, 80), True), ((100, 100), True), ((None, 80), True)])
def test_two_last_ones_the_same_step_and_models_without_steps_are_alike(measured, steps, alike):
    made = [measured(name, score(), checkpoint=step) for name, step in zip("ab", steps, strict=True)]
    for each, step in zip(made, steps, strict=True):
        checkpoints(each, *([step] if step else []))
    assert (differences(*made) == []) is alike


def test_other_options_are_said_beside(measured):
    base = measured("a", score(), options={"beams": 1, "k": 4})
    other = measured("b", score(), options={"beams": 3, "k": 8})
    assert differences(base, other) == []
    assert [str(each) for each in options_that_differ(base, other)] == ["beams 3, not 1"]
