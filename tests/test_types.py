"""Batches on a device, and losses by name."""

from __future__ import annotations

from dataclasses import replace

import torch

from vlzoo.types import Loss, Losses


def test_every_tensor_of_a_batch_moves(toy):
    """Those of a mapping, too, such as a detector's regions; names and other values stay."""
    made = toy.answers(toy.batch(2, classes=3))
    regions = {"features": torch.zeros(2, 3, 4), "boxes": torch.zeros(2, 3, 4)}
    made = replace(made, images={**made.images, "regions": regions}, extra={**made.extra, "note": "x"})
    there = made.to("meta")
    tensors = [there.key, there.image_id, there.labels, there.images["image"], *there.images["regions"].values()]
    tensors += [value for text in there.texts.values() for value in (text.ids, text.mask, text.special)]
    tensors += [there.extra["answer_row"], there.extra["answer_weight"]]
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert there.names == made.names and there.extra["note"] == "x" and len(there) == 2
    assert made.key.device.type == "cpu"


def test_a_batch_that_is_there_is_not_copied(toy):
    made = toy.batch(2)
    there = made.to(torch.device("cpu"))
    assert there.key is made.key and there.images["image"] is made.images["image"]
    assert there.labels is None


def test_what_is_logged_of_losses_are_totals_then_parts():
    one = Loss(torch.tensor(1.0, requires_grad=True), {"one": torch.tensor(1.0), "share": torch.tensor(0.5)}, 4)
    two = Loss(torch.tensor(2.0, requires_grad=True))
    losses = Losses({"one": one, "two": two}, one.total + two.total)
    assert list(losses.figures) == ["one", "two", "share"]
    assert not any(value.requires_grad for value in losses.figures.values())
    assert losses.counts == {"one": 4, "two": None}
    assert losses["two"] is two
