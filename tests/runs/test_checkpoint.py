"""Checkpoints: whole or not there, of this recipe or refused."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest
import torch

from vlzoo.errors import CheckpointError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.runs.checkpoint import NoRoom, checkpoints, load_into, load_optimizer, optimizer_tensors, save, tensors_of

FILES = {"system": {"a": torch.arange(3.0)}}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_are_kept(tmp_path):
    for step in (2, 4, 10, 100):
        save(tmp_path, step, FILES, {"step": step}, keep=2)
    assert names(tmp_path) == ["step-000000010", "step-000000100"]
    first, last = checkpoints(tmp_path)
    assert (first.step, last.step) == (10, 100)
    assert last.state() == {"step": 100}
    assert torch.equal(last.tensors("system")["a"], torch.arange(3.0))
    assert [file.name for file in last.files()] == ["system.safetensors"]
    digest = hashlib.sha256((last.folder / "system.safetensors").read_bytes()).hexdigest()
    assert last.weights_hash() == digest[:16]


def test_one_older_checkpoint_may_be_spared(tmp_path):
    for step in (2, 4, 6, 8):
        save(tmp_path, step, FILES, {"step": step}, keep=1, spare=4)
    assert names(tmp_path) == ["step-000000004", "step-000000008"]


@pytest.mark.parametrize("at", ["vlzoo.runs.checkpoint.save_file", "vlzoo.files._flush"])
def test_a_kill_in_the_middle_leaves_the_old_one_whole(tmp_path, monkeypatch, at):
    save(tmp_path, 2, FILES, {"step": 2}, keep=1)
    # A process that is really gone clears nothing away.
    process = os.fork()
    if process == 0:
        monkeypatch.setattr(at, lambda *args: os._exit(9))
        save(tmp_path, 4, FILES, {"step": 4}, keep=1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    assert [found.step for found in checkpoints(tmp_path)] == [2]
    assert checkpoints(tmp_path)[0].state() == {"step": 2}
    # What the kill left is cleared away by the next one.
    assert len(names(tmp_path)) == 2
    save(tmp_path, 4, FILES, {"step": 4}, keep=1)
    assert names(tmp_path) == ["step-000000004"]


def test_a_full_disk_is_one_message_and_the_old_one_stays(tmp_path, monkeypatch):
    save(tmp_path, 2, FILES, {"step": 2}, keep=1)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vlzoo.runs.checkpoint.save_file", full)
    with pytest.raises(NoRoom, match="no room on the disk for a checkpoint") as caught:
        save(tmp_path, 4, FILES, {"step": 4}, keep=1)
    assert "--resume" in str(caught.value)
    assert names(tmp_path) == ["step-000000002"]


def test_a_folder_without_its_last_file_is_no_checkpoint(tmp_path):
    save(tmp_path, 2, FILES, {"step": 2}, keep=3)
    (save(tmp_path, 4, FILES, {"step": 4}, keep=3).folder / "state.json").unlink()
    assert [found.step for found in checkpoints(tmp_path)] == [2]


def test_damage_and_absence_are_told(tmp_path):
    kept = save(tmp_path, 2, FILES, {"step": 2}, keep=1)
    (kept.folder / "state.json").write_text("{")
    (kept.folder / "system.safetensors").write_bytes(b"12345678")
    for read in (kept.state, lambda: kept.tensors("system")):
        with pytest.raises(CheckpointError, match="can't be read"):
            read()


def test_tied_tensors_are_kept_once_and_loaded_under_both_names(toy):
    made = toy.system({"mlm": MLM(), "itm": ITM()})
    kept = tensors_of(made)
    tables = [name for name, tensor in kept.items() if tensor.shape == (toy.VOCAB, toy.WIDTH)]
    assert len(tables) == 1
    other = toy.system({"mlm": MLM(), "itm": ITM()})
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    load_into(other, kept, where="here")
    assert all(torch.equal(p, dict(made.named_parameters())[name]) for name, p in other.named_parameters())
    assert other.objectives["mlm"].head.embedding is other.model.text_encoder.word_embedding()


def test_another_recipes_weights_are_refused_by_name_and_shape(toy):
    kept = tensors_of(toy.system({"itm": ITM()}))
    with pytest.raises(CheckpointError, match=r"missing: objectives\.mlm\.head"):
        load_into(toy.system({"itm": ITM(), "mlm": MLM()}), kept, where="run")
    with pytest.raises(CheckpointError, match=r"unexpected: objectives\.itm\.head"):
        load_into(toy.system({}), kept, where="run")
    kept["model.image_projection.weight"] = torch.zeros(3, 16)
    with pytest.raises(CheckpointError, match=r"image_projection\.weight is \[3, 16\], here \[8, 16\]"):
        load_into(toy.system({"itm": ITM()}), kept, where="run")


def test_an_optimiser_goes_on_as_if_it_had_not_stopped():
    def stepped(parameter, optimizer, times):
        for _ in range(times):
            optimizer.zero_grad()
            (parameter**2).sum().backward()
            optimizer.step()

    first = torch.nn.Parameter(torch.arange(1.0, 4.0))
    whole = torch.optim.AdamW([first], lr=0.1, fused=True)
    stepped(first, whole, 2)
    second = torch.nn.Parameter(first.detach().clone())
    resumed = torch.optim.AdamW([second], lr=0.1, fused=True)
    load_optimizer(resumed, optimizer_tensors(whole, {id(first): "w"}), {id(second): "w"})
    stepped(first, whole, 3)
    stepped(second, resumed, 3)
    assert torch.equal(first, second)
    assert json.dumps(sorted(optimizer_tensors(whole, {id(first): "w"}))) == '["w|exp_avg", "w|exp_avg_sq", "w|step"]'


def older(tensors):
    """The state as it was written while the temperature was the model's."""
    return {name.replace("objectives.itc.temperature", "model.temperature"): tensor for name, tensor in tensors.items()}


def test_a_checkpoint_of_the_time_when_the_temperature_was_the_models(toy):
    """With its optimiser's rows and its teacher's copy; a system without a contrast leaves it."""
    before, after = (toy.system({"itc": ITC(queue=4), "itm": ITM()}) for _ in range(2))
    optimizers = []
    for made in (before, after):
        optimizers.append(torch.optim.AdamW(made.parameters(), lr=0.1))
    before(toy.step(before, toy.batch(3))).total.backward()
    optimizers[0].step()
    of_before, of_after = ({id(p): name for name, p in made.named_parameters()} for made in (before, after))
    state = older(tensors_of(before))
    assert "model.temperature" in state and not any("itc.temperature" in name for name in state)
    load_into(after, state, where="here")
    rows = older(optimizer_tensors(optimizers[0], of_before))
    load_optimizer(optimizers[1], rows, of_after)
    temperatures = [made.named_objectives()["itc"].temperature for made in (before, after)]
    assert torch.equal(*temperatures) and temperatures[0].item() != pytest.approx(0.07)
    moments = [made.state[t]["exp_avg"] for made, t in zip(optimizers, temperatures, strict=True)]
    assert torch.equal(*moments) and moments[0].item() != 0.0
    teacher = Teacher(before)
    load_into(Teacher(after), tensors_of(teacher) | {"model.temperature": torch.tensor(0.07)}, where="here")
    alone = toy.system({"itm": ITM()})
    load_into(alone, {n: t for n, t in state.items() if not n.startswith("objectives.itc")}, where="here")


@pytest.mark.parametrize("content", ["[]", "null", "3", '"x"', ""])
def test_a_state_that_is_none_is_told(tmp_path, content):
    kept = save(tmp_path, 2, FILES, {"step": 2}, keep=1)
    (kept.folder / "state.json").write_text(content)
    with pytest.raises(CheckpointError, match="can't be read"):
        kept.state()


def test_tensors_cut_at_any_byte_are_told(tmp_path):
    kept = save(tmp_path, 2, FILES, {"step": 2}, keep=1)
    file = kept.folder / "system.safetensors"
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=f"can't be read: its {length} bytes are not those") as caught:
            kept.tensors("system")
        assert "the one before it is used" in str(caught.value.fix)


def test_a_checkpoint_of_the_time_before_files_were_noted(tmp_path):
    kept = save(tmp_path, 2, FILES, {"step": 2}, keep=1)
    (kept.folder / "state.json").write_text('{"step": 2}')
    kept.check()
    assert torch.equal(kept.tensors("system")["a"], FILES["system"]["a"]) and kept.state() == {"step": 2}
    file = kept.folder / "system.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="can't be read as weights: it is "):
        kept.tensors("system")


def test_all_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Every file and the folder itself, then the rename, then the folder that holds it."""
    done = []

    def note(path):
        done.append((path.name, (tmp_path / "step-000000002").exists()))

    monkeypatch.setattr("vlzoo.files._flush", note)
    save(tmp_path, 2, FILES, {"step": 2}, keep=1)
    before = {name for name, named in done[:-1] if not named}
    assert {"system.safetensors", "state.json"} < before and len(before) == 3
    assert done[-1] == (tmp_path.name, True)


def test_weights_that_are_not_finite_are_refused_unless_asked_for(toy):
    made, other = toy.system({"itm": ITM()}), toy.system({"itm": ITM()})
    kept = tensors_of(made)
    kept["objectives.itm.head.bias"] = torch.tensor([float("nan"), 1.0])
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"here: 1 of .*objectives\.itm\.head\.bias \(1 NaN, of 2\)"):
        load_into(other, kept, where="here")
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())
    load_into(other, kept, where="here", allow_nonfinite=True)
    assert other.state_dict()["objectives.itm.head.bias"][0].isnan()
