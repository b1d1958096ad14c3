"""Torch files with more in them than tensors: read where it is harmless, refused by name where it is not."""

from __future__ import annotations

import argparse
import collections
import datetime
import os
import pathlib
import types

import numpy as np
import pytest
import torch

from vlzoo.errors import CheckpointError
from vlzoo.models.safe_torch import load_torch

FORMATS = [True, False]
"""Today's zip archives, and the older format."""


class Caller:
    """Unpickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("today", FORMATS)
@pytest.mark.parametrize(
    "beside",
    [
        np.float64(71.5),
        np.float32(1),
        np.int64(3),
        np.bool_(True),
        np.arange(3),
        np.array(["a"], dtype=object),
        argparse.Namespace(lr=1e-4, out=pathlib.Path("x"), nested=argparse.Namespace(a=np.float64(1))),
        types.SimpleNamespace(a=1),
        datetime.datetime(2021, 7, 16),
        {1, 2},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_trainers_store_beside_weights_does_not_matter(tmp_path, beside, today):
    file = tmp_path / "w.pth"
    torch.save({"model": {"a": torch.arange(3.0)}, "x": beside}, file, _use_new_zipfile_serialization=today)
    assert torch.equal(load_torch(file)["model"]["a"], torch.arange(3.0))


@pytest.mark.parametrize("today", FORMATS)
@pytest.mark.parametrize(
    ("beside", "name"),
    [
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        (collections.defaultdict(list), "collections.defaultdict"),
        (Caller(os.mkdir, "ran"), f"{os.name}.mkdir"),
        (Caller(print, "ran"), "print"),
        (Caller(eval, "1"), "eval"),
        (np.random.default_rng, "default_rng"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_class_that_could_run_code_is_named_and_nothing_runs(tmp_path, monkeypatch, beside, name, today):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"a": torch.ones(2)}, "x": beside}, "w.pth", _use_new_zipfile_serialization=today)
    with pytest.raises(CheckpointError, match="could run code") as caught:
        load_torch(tmp_path / "w.pth")
    assert name in caught.value.what
    assert not {"weights_only", "safe_globals", "trust"} & set(str(caught.value).replace("`", " ").split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.pth"]


def test_users_own_safe_classes_stay_as_they_were(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    torch.save({"a": torch.ones(2), "x": np.float64(1)}, tmp_path / "w.pth")
    load_torch(tmp_path / "w.pth")
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_program_is_told_from_weights(tmp_path):
    traced = torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
    traced.save(tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="TorchScript"):
        load_torch(tmp_path / "w.pt")


def test_another_pickle_protocol_is_said(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pth", pickle_protocol=4)
    with pytest.raises(CheckpointError, match="written in a way that can't be read safely"):
        load_torch(tmp_path / "w.pth")
