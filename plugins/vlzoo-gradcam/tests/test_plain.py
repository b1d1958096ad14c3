"""RandMask and no mask (METHODS.md 2.7)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from vlzoo_gradcam.plain import NoMask, RandomPatches

from vlzoo.draws import Draws
from vlzoo.errors import VlzooError
from vlzoo.objectives.itm import ITM
from vlzoo.types import Tokens


def weights(toy, mask, *, rows=64, number=0):
    made = toy.system({"itm": ITM()}, token_mask=mask)
    return toy.step(made, toy.batch(rows), number=number).view("soft").weights


@pytest.mark.parametrize("chance", [0.3, 0.5])
def test_each_patch_by_its_own_chance(toy, chance):
    weight_BN = weights(toy, RandomPatches(probability=chance), rows=512)
    assert set(weight_BN.unique().tolist()) == {0.0, 1.0}
    # 2,048 patches: four standard deviations are 0.044 at most.
    assert float((weight_BN == 0).float().mean()) == pytest.approx(chance, abs=0.045)
    counts = (weight_BN == 0).sum(1)
    assert len(counts.unique()) == 5  # no fixed count: 0 to all 4 patches


def test_drawn_by_step_and_sample(toy):
    mask = RandomPatches(probability=0.5)
    made = toy.system({"itm": ITM()}, token_mask=mask)
    whole = toy.step(made, toy.batch(8)).view("soft").weights
    assert torch.equal(toy.step(made, toy.taken(toy.batch(8), [5, 1])).view("soft").weights, whole[[5, 1]])
    assert not torch.equal(toy.step(made, toy.batch(8), number=1).view("soft").weights, whole)


def test_the_ends(toy):
    assert (weights(toy, RandomPatches(probability=0.0)) == 1).all()
    assert (weights(toy, RandomPatches(probability=1.0)) == 0).all()
    assert (weights(toy, NoMask()) == 1).all()
    with pytest.raises(VlzooError, match=r"probability 1\.5 is no chance\n  -> choose 0 to 1"):
        RandomPatches(probability=1.5)


def test_cls_is_never_hidden():
    """A picture of [CLS] and eight patches."""
    image = Tokens(torch.zeros(3, 9, 2), torch.ones(3, 9, dtype=torch.bool), torch.zeros(3, 2), prefix=1)
    step = SimpleNamespace(image=lambda: image, draws=Draws(), batch=SimpleNamespace(key=torch.arange(3)))
    weight_BN = RandomPatches(probability=1.0)(step)
    assert (weight_BN[:, 0] == 1).all()
    assert (weight_BN[:, 1:] == 0).all()
