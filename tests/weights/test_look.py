"""What a file or a folder holds, told without loading more than needed."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from vlzoo.errors import CheckpointError
from vlzoo.runs.card import WeightsCard
from vlzoo.runs.run import Run
from vlzoo.weights.convert import Conversion, convert
from vlzoo.weights.look import describe


def test_a_file_names_its_modules_and_its_adapter(checkpoint):
    lines = describe(checkpoint("snli-ve"))
    assert "cls_head: 4 tensors, 323 numbers" in lines  # 16 * 16 + 16 + 3 * 16 + 3
    assert lines[-1] == "adapters that know it: albef, tcl"  # whose names are the same


def test_a_file_of_something_else_says_so(tmp_path):
    file = tmp_path / "x.safetensors"
    save_file({"a.b": torch.zeros(2, 3)}, file)
    assert describe(file) == ["1 tensors, 6 numbers", "a: 1 tensors, 6 numbers", "no adapter knows it"]


def test_a_run_shows_its_card(tmp_path, checkpoint, vocab_file):
    options = {"heads": 4, "image_heads": 4}
    convert(
        Conversion("albef", str(checkpoint()), tmp_path / "run", vocab=str(vocab_file), options=options), lambda _: None
    )
    lines = describe(tmp_path / "run")
    assert lines[0].startswith("origin: ALBEF")
    assert "resolution: 12" in lines
    assert "  objectives.itm: 2 tensors, 34 numbers" in lines  # 2 * 16 + 2


def test_a_damaged_file_and_a_missing_one_are_errors(tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nonsense")
    for path in (bad, tmp_path / "none.pth", tmp_path / "none.safetensors"):
        with pytest.raises(CheckpointError):
            describe(path)


def test_a_card_survives_the_disk(tmp_path):
    card = WeightsCard("who", ("a", "b"), "pretrain", ("vqa",), (256, 384), "MIT", {"x": "00"}, 7, ("loaded: all",))
    (tmp_path / "card.json").write_text(card.text(), encoding="utf-8")
    assert Run(tmp_path).card() == card
    assert "resolution: 384, in the original 256" in card.lines()


def test_a_folder_without_a_card_has_none(tmp_path):
    assert Run(tmp_path).card() is None


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"origin": "who"})])
def test_a_broken_card_is_an_error(tmp_path, content):
    (tmp_path / "card.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match="no card"):
        Run(tmp_path).card()


def test_a_wrapped_file_is_shown_by_the_names_that_an_adapter_knows(tmp_path, checkpoint):
    state = torch.load(checkpoint("snli-ve"), weights_only=True)["model"]
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}
    torch.save({"state_dict": wrapped}, tmp_path / "ddp.pth")
    save_file(wrapped, tmp_path / "ddp.safetensors")
    first, *rest = describe(tmp_path / "ddp.pth")
    assert first.startswith("ddp.pth: read under 'state_dict', without ")
    assert rest == describe(checkpoint("snli-ve"))[1:]
    assert sorted(rest) == sorted(describe(tmp_path / "ddp.safetensors")[1:])  # which keeps names in another order


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "empty"), (b"hello", "a text"), (b"<html>", "an HTML page"), (b"\x89PNG\r\n\x1a\n", "a PNG picture")],
)
def test_a_file_of_something_else_is_called_by_its_kind(tmp_path, content, told):
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=told):
            describe(tmp_path / name)


def test_a_folder_of_transformers_shows_its_weights(tmp_path):
    save_file({"a.b": torch.zeros(2, 3)}, tmp_path / "model.safetensors")
    assert describe(tmp_path)[0] == "1 tensors, 6 numbers"
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="is not a run"):
        describe(tmp_path)
