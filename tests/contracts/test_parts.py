"""What every registered objective, token mask and augmentation keeps to, whoever made it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from vlzoo.door.plugins import registry
from vlzoo.draws import IGNORED
from vlzoo.interfaces import TokenMask
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss

OBJECTIVES, MASKS, AUGMENTATIONS = (
    sorted(part.name for part in registry().of(kind)) for kind in ("objective", "token_mask", "augmentation")
)


class Half(TokenMask):
    """Weight one half everywhere: for objectives that read a masked picture."""

    def forward(self, step):
        image = step.image()
        return torch.full(image.x.shape[:2], 0.5)


def system(toy, name):
    """A model with the objective, with heads that it may borrow, and a token mask."""
    own = registry().build("objective", name)
    views = 2 if name == "text_assignment" else 1
    kinds = (("itm", ITM), ("mlm", MLM))  # one that is such itself lends its own
    lenders = {} if views == 2 else {key: made() for key, made in kinds if not isinstance(own, made)}
    merged = "image_states" in own.needs
    mask = None if merged else Half()
    return toy.system({name: own, **lenders}, classes=3, images=views, decoder=True, token_mask=mask, merged=merged)


def step_of(toy, made, name, **more):
    """A step of four rows, which have boxes, tags and mixed sentences, and say which pieces are a word.

    Where a teacher is needed, it reads a second view of the pictures.
    """
    taught = "teacher" in made.named_objectives()[name].needs
    rows = toy.batch(4, views=2 if taught or name == "text_assignment" else 1, classes=3)
    boxes = {"box": torch.tensor([[0.4, 0.5, 0.3, 0.2]] * 4), "is_region": torch.ones(4, dtype=torch.bool)}
    text = rows.texts["text"]
    numbered = replace(text, word=torch.arange(text.ids.shape[1]).expand_as(text.ids).masked_fill(text.special, -1))
    patches = {
        "patch_label": torch.tensor([[7, 7, 8, IGNORED]] * 4),
        "patch_share": torch.tensor([[0.5, 0.5, 1, 0]] * 4),
    }
    rows = replace(
        rows,
        images={**rows.images, "patches": rows.images["image"]},
        extra={**rows.extra, **boxes, **patches},
        texts={**rows.texts, **dict.fromkeys(("text", "mixed", "tags"), numbered)},
    )
    plan = Plan(teacher_image=("image1",) if taught else None)
    more["teacher"] = Teacher(made) if taught else None
    return toy.step(made, toy.answers(rows) if name == "answer" else rows, start=plan, **more)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_gives_a_loss_that_trains_the_model(toy, name):
    made = system(toy, name)
    objective = made.named_objectives()[name]
    step = step_of(toy, made, name)
    loss = objective(step)
    assert isinstance(loss, Loss)
    assert loss.total.shape == () and torch.isfinite(loss.total)
    assert loss.parts and all(value.shape == () and not value.requires_grad for value in loss.parts.values())
    loss.total.backward()
    trained = [p for p in made.model.parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)]
    assert trained
    objective.after_step(step)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_draws_the_same_again(toy, name):
    made = system(toy, name)
    objective = made.named_objectives()[name]
    first, second = (objective(step_of(toy, made, name, number=5)).total for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_gives_the_same_of_a_batch_in_parts(toy, name):
    """`train.accumulate`: the model is called with some rows after the others, and again for the gradients."""
    made = system(toy, name)
    objective, found = made.named_objectives()[name], []
    for parts in (1, 3):
        made.zero_grad()
        total = objective(step_of(toy, made, name, parts=parts)).total
        total.backward()
        found.append([total.detach(), *(p.grad for p in made.parameters() if p.grad is not None)])
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-4)


def weights(toy, mask, rows=None, *, number=0, pad=0):
    """A mask's weights, with the passes it asks for."""
    made = toy.system({"itm": ITM()}, token_mask=mask)
    plan = Plan()
    plan.mask_image()
    plan.gather(made.named_objectives(), token_mask=mask)
    whole = toy.batch(5, pad=pad)
    of = whole if rows is None else toy.taken(whole, rows)
    draws = toy.step(made, whole, number=number).draws
    return Step(of, made.model, plan=plan, draws=draws).view("soft").weights


@pytest.mark.parametrize("name", MASKS)
def test_a_token_mask_weighs_each_sample_by_itself(toy, name):
    """In [0, 1], without history, whatever the batch, its order and its padding; the same again."""
    mask = registry().build("token_mask", name)
    found = weights(toy, mask)
    assert found.shape == (5, 4) and not found.requires_grad
    assert bool(((found >= 0) & (found <= 1)).all())
    assert torch.equal(weights(toy, mask), found)
    torch.testing.assert_close(weights(toy, mask, [3, 0]), found[[3, 0]], atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(weights(toy, mask, pad=2), found, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_gives_a_picture_of_its_size_and_the_same_again(name):
    made = registry().build("augmentation", name, size=24)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (30, 41, 3), dtype=np.uint8))
    before = picture.tobytes()
    first, second = (made.image(picture, np.random.default_rng(7)) for _ in range(2))
    assert first.mode == "RGB" and first.size == (24, 24)
    assert first.tobytes() == second.tobytes()
    assert picture.tobytes() == before
    changed, texts, _ = made.pair(picture, ("a cat", "on the left"), np.random.default_rng(7))
    assert changed.size == (24, 24) and len(texts) == 2


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_what_an_augmentation_asks_of_a_step_can_be_done(toy, name):
    made = toy.system({"itm": ITM(), "mlm": MLM()})
    step = toy.step(made, toy.batch(4), augmentation=registry().build("augmentation", name))
    assert all(bool(torch.isfinite(loss.total)) for loss in made(step).by_name.values())
