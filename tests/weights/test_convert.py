"""From an official file to a run folder: safe, whole or not there, and the same numbers."""

from __future__ import annotations

import json
import os
from argparse import Namespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vlzoo.bench.engine import load_run
from vlzoo.bench.request import Request, check_request
from vlzoo.errors import CheckpointError, DataError, VlzooError
from vlzoo.files import sha256_of
from vlzoo.runs.run import Run
from vlzoo.weights.convert import Conversion, convert


@pytest.fixture
def request_of(tmp_path, vocab_file, checkpoint):
    def make(kind: str = "pretrain", file=None, **changes):
        options = {"heads": 4, "image_heads": 4}
        wishes = {"vocab": str(vocab_file), "options": options, **changes}
        return Conversion("albef", str(file or checkpoint(kind)), tmp_path / "run", **wishes)

    return make


def quiet(_line: str) -> None:
    """Hear nothing."""


@pytest.mark.parametrize("kind", ["pretrain", "retrieval", "vqa", "nlvr2", "snli-ve", "text-assignment"])
def test_a_converted_checkpoint_is_a_run(request_of, tmp_path, kind):
    convert(request_of(kind), quiet)
    engine = load_run(tmp_path / "run")
    assert engine.recipe.task == (kind if kind in ("retrieval", "vqa", "nlvr2", "snli-ve") else None)
    assert engine.tokenizer.vocab == 30
    (resumed,) = [Run(tmp_path / "run").latest().step]
    assert resumed == 0


def test_the_numbers_are_the_files(request_of, tmp_path, checkpoint):
    file = checkpoint("snli-ve", seed=3)
    convert(request_of(file=file), quiet)
    state = torch.load(file, weights_only=True)["model"]
    weight = load_run(tmp_path / "run").system.state_dict()["objectives.classify.head.classes.weight"]
    assert torch.equal(weight, state["cls_head.2.weight"])


def test_a_safetensors_file_gives_the_same(request_of, tmp_path, checkpoint):
    state = torch.load(checkpoint("vqa"), weights_only=True)["model"]
    plain = tmp_path / "vqa.safetensors"
    save_file({name: tensor.clone() for name, tensor in state.items()}, plain)
    convert(request_of(file=plain), quiet)
    first = Run(tmp_path / "run").latest().tensors("system")
    (tmp_path / "run").rename(tmp_path / "other")
    convert(request_of("vqa"), quiet)
    second = Run(tmp_path / "run").latest().tensors("system")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_card_says_where_weights_come_from(request_of, tmp_path):
    wishes = request_of("retrieval", resolution=20, licence="MIT", origin="somebody")
    convert(wishes, quiet)
    card = Run(tmp_path / "run").card()
    assert card is not None
    assert (card.origin, card.licence, card.resolution, card.tasks) == ("somebody", "MIT", (12, 20), ("retrieval",))
    folder = Run(tmp_path / "run").latest().folder
    for name, value in card.sha256.items():
        source = tmp_path / name if name.endswith(".pth") else folder / name
        assert sha256_of(source) == value


class Bomb:
    """Unpickles to a call."""

    def __init__(self, mark) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def test_code_in_a_file_is_not_run(request_of, tmp_path):
    file = tmp_path / "evil.pth"
    torch.save({"model": {"visual_encoder.pos_embed": torch.zeros(1)}, "config": Bomb(tmp_path / "ran")}, file)
    with pytest.raises(CheckpointError) as caught:
        convert(request_of(file=file), quiet)
    assert "tensors alone" in str(caught.value)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_nothing_behind(request_of, tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vlzoo.text.tokenizer.write_vocab", refuse)
    wishes = request_of()
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="no room"):
        convert(wishes, quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_folder_that_holds_something_is_not_touched(request_of, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CheckpointError, match="there already"):
        convert(request_of(), quiet)
    assert (tmp_path / "run" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_another_vocabulary_is_refused(request_of, tmp_path, vocab_file):
    with vocab_file.open("a", encoding="utf-8") as file:
        file.write("one-too-many\n")
    with pytest.raises(CheckpointError, match=r"31 tokens.*30 rows"):
        convert(request_of(), quiet)


def test_a_checkpoint_of_another_kind_is_refused(request_of):
    with pytest.raises(CheckpointError, match="trained for vqa, not for nlvr2"):
        convert(request_of("vqa", task="nlvr2"), quiet)


def test_another_model_is_refused(request_of, tmp_path):
    file = tmp_path / "other.safetensors"
    save_file({"conv.weight": torch.zeros(2)}, file)
    with pytest.raises(CheckpointError, match=r"no checkpoint of albef.*conv\.weight"):
        convert(request_of(file=file), quiet)


def test_answers_are_kept_for_ranking(request_of, tmp_path):
    listed = tmp_path / "answer_list.json"
    listed.write_text(json.dumps(["w1", "w2"]), encoding="utf-8")
    convert(request_of("vqa", answers=listed), quiet)
    task = load_run(tmp_path / "run").task
    assert task is not None
    assert list(task.state()["answers"]) == ["w1", "w2"]


def test_vqa_without_answers_says_so(request_of):
    heard: list[str] = []
    convert(request_of("vqa"), heard.append)
    assert any("--answers" in line for line in heard)


@pytest.mark.parametrize("content", ["{", '{"yes": 1}', "[1]", "[]", '["w1", ""]', '["w1", "w1"]'])
def test_an_answer_list_that_is_none_is_refused_before_any_work(request_of, tmp_path, content):
    listed = tmp_path / "answer_list.json"
    listed.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="answer list"):
        convert(request_of("vqa", answers=listed), quiet)
    assert not (tmp_path / "run").exists()


def test_an_answer_list_for_another_task_is_refused(request_of, tmp_path):
    listed = tmp_path / "answer_list.json"
    listed.write_text('["w1"]', encoding="utf-8")
    with pytest.raises(CheckpointError, match="an answer list is VQA's, and this checkpoint was trained for snli-ve"):
        convert(request_of("snli-ve", answers=listed), quiet)


def test_answers_that_count_as_one_are_said_and_kept(request_of, tmp_path):
    """VQA's evaluator takes articles away and knows contractions: `a w1` counts as `w1`."""
    listed = tmp_path / "answer_list.json"
    listed.write_text('["w1", "a w1", "w2"]', encoding="utf-8")
    heard: list[str] = []
    convert(request_of("vqa", answers=listed), heard.append)
    assert any("'w1' and 'a w1' count as one answer" in line for line in heard)
    assert Run(tmp_path / "run").task_state() == {"answers": ["w1", "a w1", "w2"]}


def test_a_converted_run_without_answers_is_told_before_any_work(request_of, tmp_path, monkeypatch):
    convert(request_of("vqa"), quiet)
    monkeypatch.setattr("vlzoo.bench.engine.load_run", None)  # nothing is loaded
    with pytest.raises(CheckpointError, match=r"no answer list.*\n  -> .*--answers answer_list\.json.*--mode generate"):
        check_request(Request("vqa", f"run:{tmp_path / 'run'}"))
    check_request(Request("vqa", f"run:{tmp_path / 'run'}", options={"mode": "generate"}))


@pytest.mark.parametrize(
    ("content", "told"),
    [("{", "can't be read"), ("[]", "an object"), ('{"answers": ["w1", ""]}', "blank"), ('{"answers": 3}', "but 3")],
)
def test_a_damaged_list_of_a_run_is_told(request_of, tmp_path, content, told):
    convert(request_of("vqa"), quiet)
    (tmp_path / "run" / "task.json").write_text(content, encoding="utf-8")
    with pytest.raises(VlzooError, match=told):
        check_request(Request("vqa", f"run:{tmp_path / 'run'}"))
    with pytest.raises(VlzooError, match=told):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model."])
@pytest.mark.parametrize("wrapper", ["model", "net", "state_dict", None])
def test_prefixes_and_wrappers_are_undone_and_said(request_of, tmp_path, checkpoint, prefix, wrapper):
    state = torch.load(checkpoint("snli-ve"), weights_only=True)["model"]
    held = {prefix + name: tensor for name, tensor in state.items()}
    file = tmp_path / "ddp.pth"
    torch.save(held if wrapper is None else {wrapper: held, "args": Namespace(lr=1), "best": np.float64(3)}, file)
    heard: list[str] = []
    convert(request_of(file=file), heard.append)
    assert heard[0].startswith("ddp.pth: read ") and "without" in heard[0]
    weight = load_run(tmp_path / "run").system.state_dict()["objectives.classify.head.classes.weight"]
    assert torch.equal(weight, state["cls_head.2.weight"])


def ruined(checkpoint, tmp_path, name: str):
    """A checkpoint with three numbers of one tensor that are not finite."""
    held = torch.load(checkpoint("snli-ve"), weights_only=True)
    held["model"][name] = held["model"].get(name, torch.zeros(4)).clone()
    held["model"][name].view(-1)[:3] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    torch.save(held, tmp_path / "ruined.pth")
    return tmp_path / "ruined.pth"


def test_weights_that_are_not_finite_are_refused_by_name(request_of, tmp_path, checkpoint):
    file = ruined(checkpoint, tmp_path, "cls_head.2.weight")
    with pytest.raises(CheckpointError, match=r"cls_head\.2\.weight \(1 NaN, 2 infinite, of 48\)") as caught:
        convert(request_of(file=file), quiet)
    assert "--allow-nonfinite" in str(caught.value) and not (tmp_path / "run").exists()


def test_weights_that_are_not_finite_are_converted_where_that_is_asked_for(request_of, tmp_path, checkpoint, caplog):
    heard: list[str] = []
    file = ruined(checkpoint, tmp_path, "cls_head.2.weight")
    convert(request_of(file=file, allow_nonfinite=True), heard.append)
    assert any(line.startswith("WARNING: 1 of") and "cls_head.2.weight" in line for line in heard)
    weight = load_run(tmp_path / "run").system.state_dict()["objectives.classify.head.classes.weight"]
    assert not weight.isfinite().all()
    assert any("cls_head.2.weight (1 NaN" in record.getMessage() for record in caplog.records)


def test_what_is_left_out_may_be_anything(request_of, tmp_path, checkpoint):
    """Some files keep a mask of -inf among their weights."""
    convert(request_of(file=ruined(checkpoint, tmp_path, "some_mask")), quiet)
