"""The places of torch are looked at whole, and torch's own doing is seen through."""

from __future__ import annotations

from functools import wraps

import torch
from torch import nn

from vlzoo.torch_places import functions


def test_functions_methods_properties_and_classes_are_there_and_nothing_else():
    found = functions()
    assert found["torch.nn.Linear.forward"] is nn.Linear.forward
    assert found["torch.nn.init.normal_"] is nn.init.normal_
    assert found["torch.optim.AdamW"] is torch.optim.AdamW
    assert isinstance(found["torch.nn.Transformer.generate_square_subsequent_mask"], staticmethod)
    assert not {"torch.pi", "torch.nn.functional", "torch.Storage"} & set(found)


def test_only_the_wrapper_of_torchs_compiler_is_seen_through(monkeypatch):
    import torchvision  # noqa: F401 - it imports the compiler, which wraps torch.manual_seed

    assert functions()["torch.manual_seed"] is torch.random.manual_seed
    for wrapped in (torch.no_grad()(torch.softmax), wraps(torch.softmax)(lambda *_: 0), torch.compile(torch.softmax)):
        monkeypatch.setattr(torch, "softmax", wrapped)
        assert functions()["torch.softmax"] is wrapped
