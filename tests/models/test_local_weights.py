from __future__ import annotations

import io
import pickle

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from vlzoo.errors import CheckpointError
from vlzoo.models.local_weights import fill, read_shapes, read_weights, said_nonfinite


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_reads_both_formats(tmp_path):
    weights = {"a": torch.arange(3.0)}
    save_file(weights, tmp_path / "w.safetensors")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        assert torch.equal(read_weights(tmp_path / name)["a"], weights["a"])


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_that_runs_code_is_refused(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"a": Evil(str(marker))}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil(str(marker))))
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(CheckpointError, match="can't be read as weights"):
            read_weights(tmp_path / name)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
def test_a_broken_file_is_told(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x10\x00")
    with pytest.raises(CheckpointError, match="can't be read as weights"):
        read_weights(tmp_path / name)


def written(**options) -> bytes:
    held = io.BytesIO()
    torch.save({"model": {"a.weight": torch.arange(6.0), "b": torch.ones(2)}, "epoch": 3}, held, **options)
    return held.getvalue()


WHOLE = {
    "torch": written(),
    "older torch": written(_use_new_zipfile_serialization=False),
    "safetensors": save({"a.weight": torch.arange(6.0), "b": torch.ones(2)}),
}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("read", [read_weights, read_shapes])
def test_a_file_cut_at_any_byte_is_told(tmp_path, kind, read):
    file = tmp_path / "w.pth"
    for length in range(len(WHOLE[kind])):
        file.write_bytes(WHOLE[kind][:length])
        with pytest.raises(CheckpointError, match="can't be read as weights: it is ") as caught:
            read(file)
        assert "weights_only" not in str(caught.value)
    file.write_bytes(WHOLE[kind])
    assert list(read(file)) == ["a.weight", "b"]


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w", "w.bin"])
def test_a_file_is_read_by_what_it_is_whatever_it_is_called(tmp_path, kind, name):
    (tmp_path / name).write_bytes(WHOLE[kind])
    assert torch.equal(read_weights(tmp_path / name)["a.weight"], torch.arange(6.0))
    assert read_shapes(tmp_path / name) == {"a.weight": (6,), "b": (2,)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty, of 0 bytes"),
        (b"<!DOCTYPE html>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "it is a Git LFS pointer"),
        (b'{"a": 1}', "it is a JSON text"),
        (b"hello", "it is a text that begins with 'hello'"),
        (b"\x89PNG\r\n\x1a\n", "it is a PNG picture"),
        (pickle.dumps({"a": 1}), "it is a Python pickle"),
    ],
)
def test_what_is_no_file_of_weights_is_called_by_its_kind(tmp_path, content, told):
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=told) as caught:
            read_weights(tmp_path / name)
        assert caught.value.fix and caught.value.where == str(tmp_path / name)


def test_a_folder_and_what_is_no_file_are_told(tmp_path):
    (tmp_path / "ck").mkdir()
    with pytest.raises(CheckpointError, match=r"ck' is a folder, and a file of weights is wanted\n  -> it is empty"):
        read_weights(tmp_path / "ck")
    (tmp_path / "ck" / "model.safetensors").touch()
    (tmp_path / "ck" / "notes.txt").touch()
    with pytest.raises(CheckpointError, match=r"name one of its files: model\.safetensors$"):
        read_weights(tmp_path / "ck")
    with pytest.raises(CheckpointError, match="no regular file"):
        read_weights("/dev/null")
    with pytest.raises(CheckpointError, match="too long"):
        read_weights("a" * 5000)


def test_what_was_undone_is_said(tmp_path):
    torch.save({"state_dict": {"module.a": torch.ones(2)}}, tmp_path / "w.pth")
    heard: list[str] = []
    assert list(read_weights(tmp_path / "w.pth", lambda names: "a" in names, heard.append)) == ["a"]
    assert heard == ["w.pth: read under 'state_dict', without 'module.' in the names"]


def test_weights_without_numbers_are_refused(tmp_path):
    torch.save({"a": torch.ones(2, device="meta")}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="'a' has a shape and no numbers"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.complex64])
def test_numbers_that_are_not_finite_are_counted_by_tensor(kind):
    bad = torch.tensor([1.0, float("nan"), float("inf"), float("-inf")]).to(kind)
    said = said_nonfinite({"good": torch.ones(2), "ids": torch.arange(3), "bad": bad})
    assert said == "1 of 3 tensors holds numbers that are not finite: bad (1 NaN, 2 infinite, of 4)"
    assert said_nonfinite({"good": torch.ones(2).to(kind)}) == ""


def test_many_tensors_that_are_not_finite_are_few_words():
    said = said_nonfinite({f"t{i}": torch.full((2,), float("nan")) for i in range(9)})
    assert said.startswith("9 of 9 tensors hold numbers") and said.endswith("t3 (2 NaN, of 2), and 5 more")


def test_fill_refuses_what_is_not_finite_and_leaves_the_module():
    module = nn.Linear(2, 2)
    before = module.weight.detach().clone()
    weights = {"weight": torch.full((2, 2), float("nan")), "bias": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"weight \(4 NaN, of 4\)"):
        fill(module, weights, where="w.pth")
    assert torch.equal(module.weight, before)
    # What the module does not take may be anything.
    fill(module, {"weight": before, "bias": torch.zeros(2), "mask": torch.tensor(float("-inf"))}, where="w.pth")


def test_a_missing_file_offers_its_neighbours(tmp_path):
    (tmp_path / "deit_base.pth").touch()
    with pytest.raises(CheckpointError, match=r"did you mean 'deit_base\.pth'"):
        read_weights(tmp_path / "deit_bas.pth")


def test_fill_names_what_does_not_fit():
    with pytest.raises(CheckpointError, match=r"'weight' has the shape \[3, 2\], and the model wants \[2, 2\]"):
        fill(nn.Linear(2, 2), {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, where="w.pth")
    with pytest.raises(CheckpointError, match="1 of 2 weights are missing, the first is 'bias'"):
        fill(nn.Linear(2, 2), {"weight": torch.zeros(2, 2)}, where="w.pth")
    module = nn.Linear(2, 2)
    fill(module, {"weight": torch.zeros(2, 2), "more": torch.ones(1)}, where="w.pth", optional=("bias",))
    assert module.weight.abs().sum() == 0
