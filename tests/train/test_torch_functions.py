"""A function of torch that was replaced is found with who did it; what torch does itself is not."""

from __future__ import annotations

import sys
from functools import partial, wraps
from types import ModuleType

import pytest
import torch
from torch.nn import functional as F

from vlzoo.door.parts import Owner
from vlzoo.train import torch_functions
from vlzoo.train.torch_functions import replaced

STRANGER = """
from functools import partial, wraps

def plain(*args):
    return args

class Layer:
    def __call__(self, *args):
        return args

def wrapping(function):
    @wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

made = {"plain": plain, "partial": partial(plain, 1), "object": Layer(), "class": Layer, "property": property(plain)}
"""


@pytest.fixture
def stranger(monkeypatch):
    """A plugin's module, with things to put in torch's place."""
    module = ModuleType("stranger.tricks")
    monkeypatch.setitem(sys.modules, "stranger.tricks", module)
    exec(compile(STRANGER, "tricks.py", "exec"), vars(module))
    monkeypatch.setattr(torch_functions, "strangers", lambda: {"stranger": Owner("vlzoo-tricks", "0.4", "tricks")})
    return module


@pytest.mark.parametrize("how", ["plain", "partial", "object", "class", "property", "wrapped"])
@pytest.mark.parametrize(
    ("space", "name", "called"),
    [
        (F, "normalize", "torch.nn.functional.normalize"),
        (torch.Tensor, "backward", "torch.Tensor.backward"),
        (torch.Tensor, "__matmul__", "torch.Tensor.__matmul__"),  # it is inherited: the name is new in the class
        (torch.nn.Linear, "forward", "torch.nn.Linear.forward"),
        (torch, "softmax", "torch.softmax"),
    ],
)
def test_whatever_takes_the_place_its_plugin_is_named(stranger, monkeypatch, how, space, name, called):
    made = stranger.wrapping(getattr(space, name)) if how == "wrapped" else stranger.made[how]
    monkeypatch.setattr(space, name, made)
    (found,) = replaced()
    assert (found.name, found.by, found.known) == (called, "vlzoo-tricks 0.4", True)
    assert found.where.startswith("tricks.py:") or how == "class"


@pytest.mark.parametrize("space", [torch, torch.Tensor, torch.nn.Linear, F])
def test_what_was_added_replaces_nothing(stranger, monkeypatch, space):
    monkeypatch.setattr(space, "method_of_mine", stranger.plain, raising=False)  # as a backend adds its functions
    monkeypatch.setattr(space, "method_of_nobody", lambda x: x, raising=False)
    assert replaced() == []


def test_what_was_replaced_before_training_was_imported_is_found_by_whose_it_is(stranger, monkeypatch):
    monkeypatch.setattr(F, "normalize", stranger.plain)
    kept = {**torch_functions.ORIGINAL, "torch.nn.functional": dict(vars(F))}
    monkeypatch.setattr(torch_functions, "ORIGINAL", kept)
    assert replaced() == []
    assert [each.name for each in replaced(thoroughly=True)] == ["torch.nn.functional.normalize"]


def test_torchs_own_function_in_anothers_place_names_no_plugin(monkeypatch):
    monkeypatch.setattr(F, "gelu", F.relu)
    (found,) = replaced()
    assert (found.name, found.by, found.known) == ("torch.nn.functional.gelu", "torch.nn.functional.relu", False)


def test_what_nobody_registered_is_named_by_its_package(monkeypatch):
    monkeypatch.setattr(torch, "relu", lambda x: x)
    (found,) = replaced()
    assert found.by == f"{__name__}.<lambda>" and not found.known and "test_torch_functions.py:" in found.where


def test_another_default_type_is_no_replacement():
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert replaced() == []
    finally:
        torch.set_default_dtype(before)


def test_what_torch_makes_by_itself_is_no_replacement(monkeypatch):
    assert replaced(thoroughly=True) == []
    monkeypatch.setattr(torch, "brand_new", partial(torch.relu), raising=False)  # as a module of torch's adds names
    monkeypatch.setattr(torch, "number", 3, raising=False)
    monkeypatch.setattr(torch, "relu", wraps(torch.relu)(torch.nn.functional.relu))
    assert replaced() == []
