"""Layers computed again on the way back: the same gradients, less kept; and what refuses it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vlzoo.config.schema import Train
from vlzoo.errors import TrainingError
from vlzoo.models.checkpointing import spare_memory
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.models.gradcam import word_maps
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM

AGAIN = Train(checkpointing=True)


def measured(toy, train: Train, **options) -> tuple[dict[str, torch.Tensor], int]:
    """Losses, gradients and word maps of a step, and the bytes that its forward keeps, weights excluded."""
    objectives = {"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4), "answer": Answer()}
    made = toy.system(objectives, decoder=True, **options)
    spare_memory(made, train)
    own = {p.untyped_storage().data_ptr() for p in made.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    torch.manual_seed(2)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step = toy.step(made, toy.answers(toy.batch(5)))
        kept = {} if options.get("merged") else {"attention": 0}
        fused = step.fused(**kept)
        losses = made(step)
    maps = {}
    if kept:
        maps = {"maps": word_maps(made.offered("match")(fused.cls)[:, 1], fused, step.ids().mask, prefix=0)}
    losses.total.backward()
    gradients = {name: p.grad for name, p in made.named_parameters() if p.grad is not None}
    totals = {name: loss.total.detach() for name, loss in losses.by_name.items()}
    return {**maps, **totals, **gradients}, sum(saved.values())


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("merged", [False, True], ids=["cross", "merged"])
def test_gradients_are_the_same_and_less_is_kept(toy, merged, dropout):
    (plain, much), (again, little) = (measured(toy, t, merged=merged, dropout=dropout) for t in (Train(), AGAIN))
    assert plain.keys() == again.keys()
    for name, value in plain.items():
        torch.testing.assert_close(again[name], value, atol=1e-6, rtol=1e-5, msg=name)
    assert little < 0.7 * much


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.BatchNorm2d(3)


@pytest.mark.parametrize("train", [AGAIN, Train(accumulate=2)], ids=["checkpointing", "accumulate"])
def test_statistics_of_a_batch_are_refused_by_name(toy, train):
    made = toy.system({"itm": ITM()})
    made.model.image_encoder.norm = Norm()
    with pytest.raises(TrainingError, match=r"can't be: model\.image_encoder\.norm\.inner normalises.*BatchNorm2d"):
        spare_memory(made, train)
    spare_memory(made, Train())


def test_frozen_statistics_are_not(toy):
    made = toy.system({"itm": ITM()})
    made.model.image_encoder = TimmEncoder(name="test_resnet", frozen=True)
    spare_memory(made, Train(accumulate=2))


def test_a_model_without_layers_is_refused(toy):
    made = toy.system({"itc": ITC()})
    made.model.text_encoder, made.model.fusion = EmbeddingEncoder(width=8, vocab=9), None
    with pytest.raises(TrainingError, match="no part of this model has layers that could be computed again"):
        spare_memory(made, AGAIN)
