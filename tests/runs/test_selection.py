"""Which checkpoint of a run is meant, and how the best is found."""

from __future__ import annotations

import pytest
import torch

from vlzoo.config.check import load
from vlzoo.errors import CheckpointError
from vlzoo.runs.run import Run
from vlzoo.runs.selection import Best, best_of, chosen
from vlzoo.runs.start import start_run

FOUND = {2: (70.0, 1.0), 4: (72.0, 3.0), 6: (72.0, 2.0), 8: (71.0, 4.0)}
"""Accuracy and another figure by step."""


def made(folder, *sets: str) -> Run:
    """A run of four checkpoints that validated each."""
    run = start_run(folder, load("albef-tiny", sets=sets))
    for step, (accuracy, other) in FOUND.items():
        run.save(step, {"system": {"a": torch.full((1,), step)}}, {"step": step}, keep=9)
        run.log({"step": step, "itm": 9.0, "lr": 1.0})
        run.log({"step": step, "time": 1e9, "validation/accuracy": accuracy, "validation/other": other})
    return run


def test_the_best_is_the_first_of_the_highest(tmp_path):
    run = made(tmp_path / "run")
    assert best_of(run) == Best(4, "accuracy", 72.0)
    assert best_of(run, "other") == Best(8, "other", 4.0)
    assert best_of(run, "nothing") is None
    run.rewind(3)
    assert best_of(run) == Best(2, "accuracy", 70.0)
    run.rewind(0)
    assert best_of(run) is None


def test_the_best_is_meant_where_there_is_one_and_that_is_said(tmp_path):
    run = made(tmp_path / "run", "validation.task=retrieval")
    found, said = chosen(run)
    assert found.step == 4
    assert said == f"{run.folder}: step 4 is the best by validation: accuracy 72.00"
    assert chosen(run, "best") == (found, said)
    assert [chosen(run, which)[0].step for which in ("last", "8", "6", "2")] == [8, 8, 6, 2]
    assert "the checkpoint of step 6" in chosen(run, "6")[1]
    other = made(tmp_path / "other", "validation.task=retrieval", "validation.metric=other")
    assert chosen(other)[0].step == 8


def test_without_validation_it_is_the_last_and_nothing_is_said(tmp_path):
    run = made(tmp_path / "run")
    assert (chosen(run)[0].step, chosen(run)[1]) == (8, "")
    with pytest.raises(CheckpointError, match="keeps no best checkpoint: it was trained without validation"):
        chosen(run, "best")


@pytest.mark.parametrize("which", ["7", "newest", "-1", "0"])
def test_a_checkpoint_that_is_not_there(tmp_path, which):
    run = made(tmp_path / "run", "validation.task=retrieval")
    with pytest.raises(
        CheckpointError, match=rf"keeps no checkpoint '{which}'\n  -> choose last, best or one of 2, 4, 6, 8"
    ):
        chosen(run, which)


def test_a_best_that_was_deleted(tmp_path):
    run = made(tmp_path / "run", "validation.task=retrieval")
    run.checkpoints()[1].folder.rename(tmp_path / "elsewhere")
    found, said = chosen(run)
    assert found.step == 8
    assert "the last checkpoint, step 8; step 4 is the best" in said and said.endswith("is not there any more")
    with pytest.raises(CheckpointError, match="keeps no checkpoint 'best'"):
        chosen(run, "best")
