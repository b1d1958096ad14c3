"""Where the weights stand in a checkpoint, and the words that wrappers write into names."""

from __future__ import annotations

import pytest
import torch

from vlzoo.errors import CheckpointError
from vlzoo.models.state_names import spellings, state_of

PLAIN = {"head.weight": torch.arange(4.0), "head.bias": torch.zeros(2)}


def fits(names) -> int:
    """How many names are those of the model."""
    return len(PLAIN.keys() & set(names))


def named(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in PLAIN.items()}


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.",
        "model.module.",
        "module.model.",
        "net.",
        "_fsdp_wrapped_module.",
    ],
)
def test_prefixes_are_taken_out_where_the_names_then_fit(prefix):
    state = state_of({"state_dict": named(prefix), "epoch": 3}, fits, "w.pth")
    assert state.tensors.keys() == PLAIN.keys()
    assert torch.equal(state.tensors["head.weight"], PLAIN["head.weight"])
    assert "under 'state_dict'" in state.note() and "without" in state.note()
    assert all(word in state.note() for word in prefix.replace(".", ". ").split())


def test_a_word_in_the_middle_of_names_is_taken_out_too():
    held = {"head._orig_mod.weight": PLAIN["head.weight"], "head._orig_mod.bias": PLAIN["head.bias"]}
    assert state_of(held, fits, "w.pth").tensors.keys() == PLAIN.keys()


def test_names_that_fit_as_they_are_stay():
    """A module of the model's own may be called `module` or `model`."""
    held = named("module.")
    state = state_of(held, lambda names: len(held.keys() & set(names)), "w.pth")
    assert state.tensors.keys() == held.keys() and state.note() == ""


def test_names_that_fit_nothing_stay():
    assert state_of(named("module.other."), fits, "w.pth").tensors.keys() == named("module.other.").keys()
    assert state_of(named("module."), None, "w.pth").tensors.keys() == named("module.").keys()


def test_two_names_that_would_become_one_are_left():
    assert [list(new.values()) for new, _ in spellings(["module.a", "a"])] == []


@pytest.mark.parametrize(
    "path", [("model",), ("net",), ("state_dict",), ("model_state_dict",), ("module",), ("state_dict", "model")]
)
def test_wrappers_are_undone(path):
    held = PLAIN
    for key in reversed(path):
        held = {"epoch": 3, key: held, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}}
    state = state_of(held, None, "w.pth")
    assert state.tensors.keys() == PLAIN.keys() and state.note() == f"under {'.'.join(path)!r}"


def test_the_model_is_taken_before_its_average():
    other = {name: tensor + 1 for name, tensor in PLAIN.items()}
    state = state_of({"model_ema": other, "model": PLAIN}, fits, "w.pth")
    assert torch.equal(state.tensors["head.weight"], PLAIN["head.weight"])


def test_one_set_under_an_unknown_key_is_taken_and_several_are_refused():
    assert state_of({"student": PLAIN, "epoch": torch.tensor(3)}, None, "w.pth").note() == "under 'student'"
    with pytest.raises(CheckpointError, match="several sets of weights: 'student', 'teacher'"):
        state_of({"student": PLAIN, "teacher": PLAIN, "epoch": torch.tensor(3)}, fits, "w.pth")
    # The names say which of the two is meant.
    assert state_of({"student": PLAIN, "loss": named("x.")}, fits, "w.pth").note() == "under 'student'"


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, "None"),
        ([torch.ones(2)], "a list of 1"),
        (torch.ones(2, 3), r"one tensor of the shape \[2, 3\]"),
        (3, "3"),
        ("x", "'x'"),
        ({}, "an empty dict"),
        ({"epoch": 3}, "a dict of 'epoch'"),
        ({0: torch.ones(2)}, "a dict of 0"),
        ({"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}, "a dict of 'optimizer'"),
    ],
)
def test_what_holds_no_tensors_by_name_is_said(held, said):
    with pytest.raises(CheckpointError, match=f"it holds {said}, and no tensors by name"):
        state_of(held, fits, "w.pth")
