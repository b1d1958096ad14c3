"""Compiled layers: the same losses, gradients and names, and gradients by an attention map."""

from __future__ import annotations

import pytest
import torch

from vlzoo.errors import TrainingError
from vlzoo.models.compiling import backend_of, compile_layers
from vlzoo.models.gradcam import word_maps
from vlzoo.objectives.itm import ITM

CPU = torch.device("cpu")


def measured(toy, backend: str, *, again: bool = False) -> dict[str, torch.Tensor]:
    """Losses, gradients and word maps of a step whose positive pass keeps a map."""
    made = toy.system({"itm": ITM()})
    names = list(made.state_dict())
    compile_layers([made.model], backend, CPU)
    for part in made.model.parts() if again else ():
        part.checkpoint_layers()
    assert list(made.state_dict()) == names
    step = toy.step(made, toy.batch(3))
    fused = step.fused(attention=0)
    maps = word_maps(made.offered("match")(fused.cls)[:, 1], fused, step.ids().mask, prefix=0)
    losses = made(step)
    losses.total.backward()
    gradients = {name: p.grad for name, p in made.named_parameters() if p.grad is not None}
    return {"maps": maps, **{name: loss.total.detach() for name, loss in losses.by_name.items()}, **gradients}


@pytest.mark.parametrize("again", [False, True])
def test_compiled_and_as_written_give_the_same(toy, again):
    """With a backward pass made ahead of time, which drops what it thinks is read once; also of layers made again."""
    plain, compiled = measured(toy, ""), measured(toy, "aot_eager", again=again)
    assert compiled.keys() == plain.keys() and plain["maps"].any()
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, atol=1e-6, rtol=1e-5, msg=name)


def test_layers_are_compiled_and_their_holders_are_not(toy):
    model = toy.system({"itm": ITM()}).model
    compile_layers([model], "eager", CPU)
    compiled = {name for name, module in model.named_modules() if module._compiled_call_impl is not None}
    assert compiled == {"text_encoder.bert.encoder.layer.0", "fusion.stack.0.blocks.0", "fusion.stack.1.blocks.0"}


def test_an_unknown_backend_names_the_nearest():
    with pytest.raises(TrainingError, match="torch has no backend 'inductr'") as caught:
        backend_of("inductr")
    assert backend_of(True) == "inductor" and backend_of(False) == "" and "inductor" in str(caught.value)


def test_where_nothing_can_be_compiled_it_is_said(toy, monkeypatch):
    def lacks(*_: object, **__: object):
        raise RuntimeError(
            "InvalidCxxCompiler: No working C++ compiler found in cpp.cxx: (None, 'g++')\n\nset TORCH_LOGS"
        )

    monkeypatch.setattr(torch, "compile", lacks)
    with pytest.raises(TrainingError, match=r"can't compile here by 'inductor'.*No working C\+\+ compiler") as caught:
        compile_layers([toy.system({"itm": ITM()}).model], "inductor", CPU)
    assert "leave train.compile out" in str(caught.value)


def test_a_model_without_layers_is_refused(toy):
    model = toy.system({"itm": ITM()}).model
    model.text_encoder = model.fusion = None
    with pytest.raises(TrainingError, match="no part of this model has a list of layers"):
        compile_layers([model], "eager", CPU)
