"""Text assignment: three classes in equal shares, hard negatives, and never the own picture by mistake."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.objectives.text_assignment import FIRST, NEITHER, SECOND, TextAssignment


@pytest.fixture
def made(toy):
    """An objective in a model of two pictures a text."""
    return toy.system({"text_assignment": TextAssignment()}, images=2)


def objective(system) -> TextAssignment:
    return system.named_objectives()["text_assignment"]


@pytest.mark.parametrize("rows", [3, 5])
def test_the_own_picture_is_where_the_class_says(toy, made, rows):
    for number in range(40):
        step = toy.step(made, toy.batch(rows), number=number)
        assigned = objective(made).assign(step)
        own = torch.arange(rows)
        left, right = assigned.rows.T
        assert torch.equal(left == own, assigned.labels == FIRST)
        assert torch.equal(right == own, assigned.labels == SECOND)
        assert (left != right).all()


def test_each_class_has_a_third_of_the_chance(toy, made):
    """300 draws of 6: a class has 600 of 1,800 on average, and 4 standard deviations are 80."""
    batch = toy.batch(6)
    labels = [objective(made).assign(toy.step(made, batch, number=number)).labels for number in range(300)]
    counts = torch.bincount(torch.cat(labels), minlength=3)
    assert (counts - 600).abs().max() < 80


def test_two_rows_have_no_two_negatives(toy, made):
    for number in range(30):
        assigned = objective(made).assign(toy.step(made, toy.batch(2), number=number))
        assert NEITHER not in assigned.labels.tolist()


def test_one_row_gives_zero(toy, made):
    loss = objective(made)(toy.step(made, toy.batch(1)))
    assert float(loss.total.detach()) == 0.0
    loss.total.backward()


def test_negatives_are_drawn_by_likeness(toy, made):
    """softmax of cosines over the temperature, the own picture left out: written out for one row."""
    step = toy.step(made, toy.batch(4))
    weight_BB = objective(made).weights(step)
    image = step.image_embed().detach()
    scores = [float(image[1] @ image[j]) / 0.07 for j in (0, 2, 3)]
    expected = torch.softmax(torch.tensor(scores), dim=0)
    torch.testing.assert_close(weight_BB[1, [0, 2, 3]].detach(), expected)
    assert weight_BB.diagonal().abs().max() == 0


def test_captions_of_one_picture_are_no_negatives(toy, made):
    batch = replace(toy.batch(4), image_id=torch.tensor([1, 1, 2, 3]))
    weight_BB = objective(made).weights(toy.step(made, batch))
    assert float(weight_BB[0, 1].detach()) == float(weight_BB[1, 0].detach()) == 0.0


def test_the_gradient_reaches_both_encoders(toy, made):
    objective(made)(toy.step(made, toy.batch(4))).total.backward()
    for encoder in (made.model.image_encoder, made.model.text_encoder):
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.parameters())


def test_it_is_the_cross_entropy_of_its_head(toy, made):
    """-log softmax at the class, by hand, over the states of a pass that computes every position."""
    step = toy.step(made, toy.batch(5))
    asked = objective(made)
    assigned = asked.assign(step)
    logit_B3 = asked.head(asked.fused(step, assigned).cls)
    log_p = logit_B3 - logit_B3.logsumexp(1, keepdim=True)
    expected = -log_p[torch.arange(5), assigned.labels].mean()
    torch.testing.assert_close(asked(step).total, expected, atol=1e-5, rtol=1e-5)


def test_a_text_whose_only_other_picture_is_one_is_never_given_two_negatives(toy, made):
    """Three rows show one picture: a second negative would be their own, and its label wrong."""
    batch = replace(toy.batch(4), image_id=torch.tensor([7, 7, 7, 9]))
    for number in range(60):
        assigned = objective(made).assign(toy.step(made, batch, number=number))
        neither = assigned.labels[:3] == NEITHER
        assert not bool(neither.any())
