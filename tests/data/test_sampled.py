"""Rows that read some places of each picture: how many, drawn by what, and that only training draws.

Legend: R batch rows, G places of the encoder's grid, N image tokens.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.batch import View
from vlzoo.data.pairs import Pairs
from vlzoo.data.sampled import VIEW, Sampled
from vlzoo.errors import VlzooError
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import Plan

PLACES = 4  # the toy's encoder has 2 x 2


def planned(places: int = 3) -> Plan:
    plan = Plan()
    Sampled(places=places).plan(plan, "pair")
    return plan


def made(toy, **options):
    return toy.system({"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4)}, merged=True, **options)


def cells(step) -> torch.Tensor:
    return step.view(VIEW).cells


@pytest.mark.parametrize(("places", "read"), [(1, 1), (3, 3), (4, 4), (100, 4)])
def test_so_many_places_of_each_picture_are_read(toy, places, read):
    step = toy.step(made(toy), toy.batch(5), start=planned(places))
    assert cells(step).sum(1).tolist() == [read] * 5
    assert torch.equal(step.image().mask, cells(step))  # no token stands before the grid
    pooled = step.image("image").x[0][cells(step)[0]].mean(0)
    torch.testing.assert_close(step.image().pooled[0], pooled)


def test_a_class_token_is_read_as_in_evaluation(toy):
    """Where the encoder has one it speaks for the picture, in training as well as where all places are read."""
    system = made(toy)
    system.model.image_encoder = PatchEncoder(width=toy.WIDTH, patch=8, image_size=toy.SIDE, class_token=True)
    step = toy.step(system, toy.batch(5), start=planned())
    assert torch.equal(step.image().mask[:, 1:], cells(step)) and step.image().mask[:, 0].all()
    torch.testing.assert_close(step.image().x[:, 0], step.image("image").x[:, 0])
    torch.testing.assert_close(step.image().pooled, step.image("image").pooled)


def test_what_is_drawn_depends_on_step_and_sample_alone(toy):
    system, batch = made(toy), toy.batch(6)
    whole = cells(toy.step(system, batch, start=planned()))
    rows = [4, 1, 5]
    assert torch.equal(cells(toy.step(system, toy.taken(batch, rows), start=planned())), whole[rows])
    assert torch.equal(cells(toy.step(system, batch, start=planned(), parts=3)), whole)
    later = cells(toy.step(system, batch, start=planned(), number=1))
    assert not torch.equal(later, whole)
    assert len({tuple(row) for row in whole.tolist()}) > 1


def test_every_place_is_read_now_and_then(toy):
    system, batch = made(toy), toy.batch(6)
    seen = torch.stack([cells(toy.step(system, batch, start=planned(1), number=n)) for n in range(40)])
    share_G = seen.float().mean((0, 1))  # 240 draws of 4 places: 0.25, with a deviation of 0.028
    assert (share_G - 0.25).abs().max() < 0.1


def test_padding_is_never_drawn(toy):
    system = made(toy)
    encoder, real = system.model.image_encoder, torch.tensor([[True, True, False, True]])

    class Padded(type(encoder)):
        def forward(self, image_M3HW):
            given = super().forward(image_M3HW)
            return replace(given, mask=real.expand_as(given.mask))

    encoder.__class__ = Padded
    for places, read in ((2, 2), (4, 3)):
        drawn = cells(toy.step(system, toy.batch(5), start=planned(places)))
        assert not drawn[:, 2].any() and drawn.sum(1).tolist() == [read] * 5


@pytest.mark.parametrize("taught", [False, True], ids=["alone", "taught"])
def test_losses_are_those_of_pictures_with_these_places(toy, taught):
    """The same as where the batch itself says which cells a row reads; the teacher reads the same ones."""
    system = made(toy, teacher=taught)
    teacher, batch = Teacher(system) if taught else None, toy.batch(5)
    step = toy.step(system, batch, start=planned(), teacher=teacher, alpha=0.4 if taught else 0.0)
    losses = system(step)
    said = replace(batch, views={"said": View(cells=cells(step))})
    other = toy.step(system, said, start=Plan(main_image=("said",)), teacher=teacher, alpha=0.4 if taught else 0.0)
    expected = system(other)
    for name in ("itc", "itm", "mlm"):
        torch.testing.assert_close(losses[name].total, expected[name].total)
    plain = system(toy.step(system, batch, teacher=teacher, alpha=0.4 if taught else 0.0))
    assert not torch.allclose(losses["mlm"].total, plain["mlm"].total, atol=1e-4)


def test_another_picture_behind_hidden_places_changes_nothing(toy):
    system, batch = made(toy), toy.batch(3)
    step = toy.step(system, batch, start=planned())
    fused = step.fused()
    changed = batch.images["image"].clone()
    for row, places in enumerate(cells(step).tolist()):
        for place, read in enumerate(places):
            if not read:
                y, x = divmod(place, 2)
                changed[row, :, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = 9.0  # one patch of 8 x 8 pixels
    other = toy.step(system, replace(batch, images={"image": changed}), start=planned())
    torch.testing.assert_close(other.fused().x, fused.x)


def test_evaluation_and_texts_alone_read_what_there_is():
    assert type(Sampled(equal_texts="negative").whole()) is Pairs
    assert Sampled(equal_texts="negative").whole().equal_texts == "negative"
    plan = Plan()
    Sampled().plan(plan, "text")
    assert plan.main_image == () and not plan.views


@pytest.mark.parametrize("places", [0, -1, 1.5, True, "many"])
def test_a_number_that_can_not_be_is_told(places):
    with pytest.raises(VlzooError, match="places can't be"):
        Sampled(places=places)
