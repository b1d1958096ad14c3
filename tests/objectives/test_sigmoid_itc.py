"""SigLIP's loss against its formula, written out as a double loop (Zhai et al. 2023, equation 1)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.sigmoid_itc import SigmoidITC


def literal(image, text, together, scale, bias):
    """`- 1/|B| sum_i sum_j log sigmoid(z_ij (t x_i y_j + b))`, number by number."""
    total = 0.0
    for i, x in enumerate(image):
        for j, y in enumerate(text):
            z = 1 if together(i, j) else -1
            total -= math.log(1 / (1 + math.exp(-z * (scale * float(x @ y) + bias))))
    return total / len(image)


def features(passes):
    return passes.image_embed().detach().double(), passes.text_embed().detach().double()


def test_it_is_the_double_loop(toy):
    made = toy.system({"sigmoid_itc": SigmoidITC()})
    step = toy.step(made, toy.batch(5))
    loss = made.named_objectives()["sigmoid_itc"](step)
    expected = literal(*features(step), lambda i, j: i == j, 10.0, -10.0)
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)
    # The paper's starts: t = exp(t'), t' = log 10, b = -10.
    assert (float(loss.parts["sigmoid_scale"]), float(loss.parts["sigmoid_bias"])) == (pytest.approx(10), -10)
    assert loss.count == 5


def test_scale_and_bias_are_learned(toy):
    made = toy.system({"sigmoid_itc": SigmoidITC(scale=2.0, bias=0.5)})
    step, objective = toy.step(made, toy.batch(3)), made.named_objectives()["sigmoid_itc"]
    loss = objective(step).total
    assert float(loss) == pytest.approx(literal(*features(step), lambda i, j: i == j, 2.0, 0.5), rel=1e-5)
    loss.backward()
    assert objective.logit_scale.grad and objective.logit_bias.grad
    assert made.model.image_projection.weight.grad.any() and made.model.text_projection.weight.grad.any()


def test_what_shows_or_says_the_same_belongs_together(toy):
    made = toy.system({"sigmoid_itc": SigmoidITC(targets="alike")})
    ids = {"image_id": torch.tensor([7, 8, 7, 9]), "text_id": torch.tensor([1, 2, 3, 2])}
    step = toy.step(made, replace(toy.batch(4), **ids))
    alike = {(0, 2), (2, 0), (1, 3), (3, 1)}
    expected = literal(*features(step), lambda i, j: i == j or (i, j) in alike, 10.0, -10.0)
    assert float(made.named_objectives()["sigmoid_itc"](step).total) == pytest.approx(expected, rel=1e-5)


def test_with_a_teacher_each_side_is_compared_with_its_keys_and_both_learn(toy):
    made = toy.system({"sigmoid_itc": SigmoidITC()})
    teacher = Teacher(made)
    with torch.no_grad():
        teacher.model.text_projection.weight.add_(0.3)
        teacher.model.image_projection.weight.sub_(0.2)
    step = toy.step(made, toy.batch(3), teacher=teacher)
    (image, text), (image_key, text_key) = features(step), features(step.teacher)
    halves = [literal(*pair, lambda i, j: i == j, 10.0, -10.0) for pair in ((image, text_key), (text, image_key))]
    loss = made.named_objectives()["sigmoid_itc"](step).total
    assert float(loss) == pytest.approx(sum(halves) / 2, rel=1e-5)
    loss.backward()
    for part in (made.model.image_encoder, made.model.text_encoder, made.model.text_projection):
        assert all(p.grad is not None and p.grad.any() for p in part.parameters() if p.ndim > 1)


def test_pictures_are_ranked_by_it(toy):
    made = toy.system({"sigmoid_itc": SigmoidITC()})
    step = toy.step(made, toy.batch(3))
    cosine = step.image_embed() @ step.text_embed().T
    torch.testing.assert_close(step.similarity.i2t, 10 * cosine - 10)
    torch.testing.assert_close(made.offered("contrast").logits(cosine), 10 * cosine - 10)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": 0.0}, "cosines can't be scaled by 0.0"),
        ({"scale": float("inf")}, "cosines can't be scaled by inf"),
        ({"bias": float("nan")}, "a bias of nan can't be"),
    ],
)
def test_what_can_not_be(options, said):
    with pytest.raises(VlzooError, match=said):
        SigmoidITC(**options)
