from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vlzoo.errors import CheckpointError
from vlzoo.models.local_weights import fill, read_weights


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
