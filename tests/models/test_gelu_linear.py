"""The second half of a feed-forward against GELU and a dense layer of torch, bit by bit."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.layers import Mlp
from torch import nn

from vlzoo.models.gelu_linear import GeluLinear, join_gelu


def pair() -> tuple[GeluLinear, nn.Sequential]:
    """The layer, and what it stands for, on the same weights."""
    torch.manual_seed(0)
    plain = nn.Linear(24, 8)
    layer = GeluLinear.of(plain)
    layer.weight, layer.bias = (nn.Parameter(p.detach().clone()) for p in (plain.weight, plain.bias))
    return layer, nn.Sequential(nn.GELU(), plain)


def run(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """The value and all gradients."""
    x = x.detach().requires_grad_()
    out = model(x)
    return [out, *torch.autograd.grad(out.float().square().sum(), [x, *model.parameters()])]


@pytest.mark.parametrize("shape", [(24,), (5, 24), (3, 7, 24), (2, 3, 4, 24)])
def test_values_and_gradients_have_the_same_bits(shape):
    layer, plain = pair()
    x = torch.randn(shape)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(run(layer, x), run(plain, x), strict=True))
    with torch.no_grad():
        assert torch.equal(layer(x), plain(x))


def test_half_precision_is_as_torch_makes_it():
    layer, plain = pair()
    x = torch.randn(3, 7, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mine, theirs = run(layer, x), run(plain, x)
    assert mine[0].dtype == torch.bfloat16
    for one, other in zip(mine, theirs, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


def test_frozen_weights_and_inputs_that_learn_nothing_are_left_out():
    layer, _ = pair()
    layer.weight.requires_grad_(False)
    layer(torch.randn(3, 24)).sum().backward()
    assert layer.weight.grad is None and torch.equal(layer.bias.grad, torch.full((8,), 3.0))


def test_one_tensor_of_the_hidden_width_is_kept():
    layer, plain = pair()
    kept = []
    for model in (layer, plain):
        x, saved = torch.randn(5, 24, requires_grad=True), {}

        def pack(tensor, saved=saved):
            saved[tensor.untyped_storage().data_ptr()] = tensor.shape
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = model(x)
        assert out.requires_grad
        kept.append(sum(shape == (5, 24) for shape in saved.values()))
    assert kept == [1, 2]


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_timm_model_keeps_its_names_its_numbers_and_what_is_drawn_after_it(name):
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=0, img_size=224).train(False)
    x = torch.randn(1, 3, 224, 224)
    state, before = {n: t.clone() for n, t in model.state_dict().items()}, model.forward_features(x)
    generator = torch.get_rng_state()
    join_gelu(model)
    assert torch.equal(torch.get_rng_state(), generator)
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[n]) for n, tensor in model.state_dict().items())
    assert torch.equal(model.forward_features(x), before)
    assert {type(module.fc2) for module in model.modules() if isinstance(module, Mlp)} == {GeluLinear}


@pytest.mark.parametrize("changed", [{"drop": 0.1}, {"act_layer": nn.ReLU}, {"norm_layer": nn.LayerNorm}])
def test_what_stands_between_is_not_passed_over(changed):
    mlp = Mlp(8, **changed)
    join_gelu(mlp)
    assert type(mlp.fc2) is nn.Linear
