"""Runs as they are named: what is there, and every way in which one is not."""

import numpy as np
import pytest

from vlzoo.errors import VlzooError
from vlzoo.metrics.figures import Figures
from vlzoo.report.subjects import subjects, tasks_of


def score(task="vqa"):
    return Figures(task, f"{task}/official").hits("accuracy", np.arange(10) < 5)


def test_what_was_fine_tuned_from_a_run_is_its_own(measured):
    measured("a", score("retrieval"))
    measured("a/finetune/vqa", score())
    (found,) = subjects(["a"])
    assert found.tasks == ["retrieval", "vqa"]
    assert tasks_of([found]) == ["retrieval", "vqa"]
    assert subjects(["a/finetune/vqa"])[0].tasks == ["vqa"]


def test_a_folder_of_predictions_that_is_no_run(measured):
    (measured("bench-clip", score()).run.folder / "recipe.yaml").unlink()
    assert subjects(["bench-clip"])[0].tasks == ["vqa"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["runs/one", "runs/onee"], ["'runs/onee': there is no such folder", "did you mean 'runs/one'"]),
        (["runs/one", "runs/one"], ["'runs/one' is named twice", "name each run once"]),
        (["runs/one", "runs/../runs/one"], ["'runs/one' and 'runs/../runs/one' are one folder"]),
        (["runs/one", "runs"], ["'runs' is no run", "runs there: runs/begun, runs/new, runs/one"]),
        (["runs/one", "file"], ["a file is there, and a run is a folder"]),
        (["runs/one", "runs/new"], ["'runs/new' was never measured", "vlzoo bench TASK --run runs/new"]),
        (["runs/one", "runs/begun"], ["its bench on vqa did not come to its end", "it goes on where it stopped"]),
        (["runs/one", "hf:clip"], ["figures of a model lie in bench-MODEL"]),
    ],
)
def test_mistakes_are_named_with_what_to_do(measured, tmp_path, names, words):
    measured("runs/one", score())
    (tmp_path / "runs/new").mkdir()
    (tmp_path / "runs/new/recipe.yaml").write_text("task: null\n")
    (tmp_path / "file").write_text("x")
    begun = tmp_path / "runs/begun/bench/vqa/key"
    begun.mkdir(parents=True)
    (begun / "shard-000.jsonl").write_text("{}")
    with pytest.raises(VlzooError) as caught:
        subjects(names)
    assert all(word in str(caught.value) for word in words), str(caught.value)
