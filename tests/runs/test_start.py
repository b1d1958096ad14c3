"""How a run folder is begun: made, taken up, made anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlzoo.config.check import load
from vlzoo.errors import CheckpointError, TrainingError
from vlzoo.runs.run import Run
from vlzoo.runs.start import is_empty, leave_damaged, same_recipe, start_run, unsaved


@pytest.fixture
def run(tmp_path) -> Run:
    """A run without a checkpoint."""
    return start_run(tmp_path / "run", load("albef-tiny"))


def saved(run: Run, step: int = 1) -> Run:
    """With a checkpoint."""
    run.save(step, {"system": {"a": torch.ones(1)}}, {"step": step}, keep=1)
    return run


def test_what_is_no_run_is_neither_taken_up_nor_deleted(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for how in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(TrainingError, match="is there already and is no run"):
            start_run(tmp_path, load("albef-tiny"), **how)
    # A recipe.yaml may be the user's own.
    (tmp_path / "recipe.yaml").write_text("extends: albef-tiny\n")
    for how in ({}, {"overwrite": True}):
        with pytest.raises(TrainingError, match=r"its recipe\.yaml is not a run's"):
            start_run(tmp_path, load("albef-tiny"), **how)
    # One that a run wrote may have been copied.
    shutil.copy(start_run(tmp_path / "run", load("albef-tiny")).folder / "recipe.yaml", tmp_path / "recipe.yaml")
    with pytest.raises(TrainingError, match="is no run"):
        start_run(tmp_path, load("albef-tiny"), overwrite=True)
    assert (tmp_path / "mine.txt").exists() and (tmp_path / "recipe.yaml").exists()


def test_a_run_that_is_there_is_only_taken_up_when_asked(run):
    saved(run)
    with pytest.raises(TrainingError, match="add --resume to go on, --overwrite to delete it"):
        start_run(run.folder, load("albef-tiny"))
    assert start_run(run.folder, load("albef-tiny"), resume=True).folder == run.folder
    assert run.latest().step == 1


def files_of(run: Run) -> list[Path]:
    """Those of the newest checkpoint."""
    return sorted(run.checkpoints()[-1].folder.iterdir())


def damaged(content: bytes, place: int, bits: int) -> bytes:
    """Cut off at a place where no bits are given; else a byte there with them flipped."""
    return content[:place] + (bytes([content[place] ^ bits]) + content[place + 1 :] if bits else b"")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), bits=st.integers(0, 255))
def test_any_byte_altered_or_cut_is_told_and_the_checkpoint_before_it_is_used(tmp_path_factory, data, bits):
    run = Run(tmp_path_factory.mktemp("run"))
    state, files = (
        {"scaler": {"scale": 0.5}},
        {"system": {"a": torch.arange(3.0)}, "optimizer": {"a|step": torch.ones(1)}},
    )
    for step in (1, 2):
        run.save(step, files, {"step": step, **state}, keep=2)
    file = data.draw(st.sampled_from(files_of(run)))
    whole = file.read_bytes()
    file.write_bytes(damaged(whole, data.draw(st.integers(0, len(whole) - 1)), bits))
    said: list[str] = []
    leave_damaged(run, said.append)
    assert run.saved_steps() == [1] and len(said) == 1
    assert str(file) in said[0] and "going on from the checkpoint before it, of step 1" in said[0]
    run.save(3, files, state, keep=2)  # what was put aside makes room
    assert sorted(each.name for each in run.checkpoint_folder.iterdir()) == ["step-000000001", "step-000000003"]


def test_of_several_damaged_checkpoints_the_first_whole_one_is_used(run):
    for step in (1, 2, 3):
        run.save(step, {"system": {"a": torch.ones(1)}}, {"step": step}, keep=3)
    for each in run.checkpoints()[1:]:
        (each.folder / "system.safetensors").unlink()
    said: list[str] = []
    start_run(run.folder, load("albef-tiny"), resume=True, say=said.append)
    assert run.saved_steps() == [1] and len(said) == 2 and all("of step 1" in line for line in said)


def test_without_a_whole_checkpoint_nothing_is_touched_and_the_file_is_named(run):
    file = files_of(saved(run))[1]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="no checkpoint before it is whole") as caught:
        start_run(run.folder, load("albef-tiny"), resume=True)
    assert caught.value.where == str(file) and run.saved_steps() == [1]


def test_a_run_of_another_recipe_is_not_gone_on_with(run):
    same_recipe(run, load("albef-tiny", sets=("train.keep=7",)).recipe)
    with pytest.raises(CheckpointError, match=r"train\.seed: 0 there, 1 here"):
        same_recipe(run, load("albef-tiny", sets=("train.seed=1",)).recipe)


def test_a_run_that_saved_nothing_is_made_anew_by_another_recipe_too(run):
    run.log({"step": 20})
    said: list[str] = []
    again = start_run(run.folder, load("albef-tiny", sets=("train.seed=1",)), say=said.append)
    assert "ended before its first checkpoint; it is trained anew" in said[0]
    assert again.metrics() == [] and again.recipe().train.seed == 1


def test_what_may_be_wanted_still_is_not_made_anew(run):
    assert unsaved(run)
    every = run.recipe().train.save_every
    run.log({"step": every})  # so there was a checkpoint, and somebody deleted it
    assert not unsaved(run)
    run.rewind(0)
    run.note(steps=40)
    run.log({"step": 40})  # it was trained to its end
    assert not unsaved(run)
    run.rewind(0)
    assert unsaved(run)
    run.bench_folder("vqa").mkdir(parents=True)
    assert not unsaved(run)


def test_overwriting_deletes_what_vlzoo_made_and_nothing_else(run):
    saved(run).log({"step": 1})
    saved(start_run(run.finetuned("vqa").folder, load("albef-tiny")))
    (run.folder / "notes.txt").write_text("mine")
    (run.folder / ".recipe.yaml.1.tmp").write_text("half")
    before = json.loads((run.folder / "run.json").read_text())
    again = start_run(run.folder, load("albef-tiny", sets=("train.seed=3",)), overwrite=True)
    assert again.checkpoints() == [] and again.metrics() == [] and again.recipe().train.seed == 3
    assert {each.name for each in run.folder.iterdir()} == {"recipe.yaml", "run.json", "notes.txt"}
    assert before["seed"] == 0 and again.noted()["seed"] == 3


def test_overwriting_where_nothing_is_there_makes_a_run(tmp_path):
    assert start_run(tmp_path / "run", load("albef-tiny"), overwrite=True).exists()


def test_a_lock_alone_is_no_content(tmp_path):
    assert is_empty(tmp_path) and not is_empty(tmp_path / "nowhere")
    (tmp_path / "run.lock").write_text("")
    assert is_empty(tmp_path)
    assert start_run(tmp_path, load("albef-tiny")).exists()


def test_a_place_that_cant_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(TrainingError, match=r"is no run|can't be written"):
            start_run(folder, load("albef-tiny"))
