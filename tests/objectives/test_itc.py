"""ITC against its formula, written out with loops (METHODS.md 1.2; ALBEF equations 1 and 6).

Legend: B batch rows, E joint size, Q queue length.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itc import ITC


def literal(image, text, image_key, text_key, targets, tau, *, alpha=0.0, taught=None):
    """`1/2 mean_i [- sum_j y_i2t log softmax(s_i2t) - sum_j y_t2i log softmax(s_t2i)]`, number by number."""

    def log_softmax(scores):
        top = max(scores)
        total = top + math.log(sum(math.exp(s - top) for s in scores))
        return [s - total for s in scores]

    def one_way(own, keys, soft_own):
        rows = []
        for i, vector in enumerate(own):
            log_p = log_softmax([float(vector @ key) / tau for key in keys])
            hard = targets[i]
            if soft_own is not None:
                soft = [math.exp(x) for x in log_softmax([float(soft_own[i] @ key) / tau for key in keys])]
                hard = [alpha * s + (1 - alpha) * h for s, h in zip(soft, hard, strict=True)]
            rows.append(-sum(y * p for y, p in zip(hard, log_p, strict=True)))
        return sum(rows) / len(rows)

    soft_image, soft_text = taught or (None, None)
    return (one_way(image, text_key, soft_image) + one_way(text, image_key, soft_text)) / 2


def features(step):
    return step.image_embed().detach().double(), step.text_embed().detach().double()


def test_in_batch(toy):
    made = toy.system({"itc": ITC()})
    step = toy.step(made, toy.batch(4))
    image, text = features(step)
    one_hot = torch.eye(4).tolist()
    expected = literal(image, text, image, text, one_hot, 0.07)
    loss = made.named_objectives()["itc"](step)
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)
    assert float(loss.parts["temperature"]) == pytest.approx(0.07)


def test_all_captions_of_one_picture_are_positives(toy):
    made = toy.system({"itc": ITC(targets="image-id")})
    step = toy.step(made, replace(toy.batch(4), image_id=torch.tensor([7, 8, 7, 9])))
    image, text = features(step)
    half = [[0.5, 0, 0.5, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]]
    expected = literal(image, text, image, text, half, 0.07)
    assert float(made.named_objectives()["itc"](step).total) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("targets", ["one-hot", "image-id"])
@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_with_queue_and_momentum_distillation(toy, targets, alpha):
    made = toy.system({"itc": ITC(queue=6, targets=targets)})
    teacher = Teacher(made)
    with torch.no_grad():  # a teacher that differs from its student
        for parameter in teacher.model.image_projection.parameters():
            parameter.add_(0.2)
    itc = made.named_objectives()["itc"]
    itc.queue.ids.copy_(torch.tensor([7, -100, 9, 9, -100, -100]))
    step = toy.step(made, replace(toy.batch(3), image_id=torch.tensor([7, 8, 7])), teacher=teacher, alpha=alpha)
    image, text = features(step)
    soft_image, soft_text = step.teacher.image_embed().double(), step.teacher.text_embed().double()
    image_key = torch.cat([soft_image, itc.queue.image.double()])
    text_key = torch.cat([soft_text, itc.queue.text.double()])
    if targets == "one-hot":
        hard = torch.eye(3, 9).tolist()
    else:  # picture 7 has two captions in the batch and one in the queue, picture 8 one
        third = 1 / 3
        hard = [[third, 0, third, third, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0, 0]]
        hard.append(hard[0])
    taught = (soft_image, soft_text) if alpha else None
    expected = literal(image, text, image_key, text_key, hard, 0.07, alpha=alpha, taught=taught)
    assert float(itc(step).total) == pytest.approx(expected, rel=1e-5)


def test_keys_of_a_teacher_and_soft_targets_carry_no_gradient(toy):
    made = toy.system({"itc": ITC(queue=6)})
    teacher = Teacher(made)
    step = toy.step(made, toy.batch(3), teacher=teacher, alpha=0.4)
    made.named_objectives()["itc"](step).total.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert made.named_objectives()["itc"].temperature.grad is not None
    assert made.model.image_projection.weight.grad is not None


def test_the_keys_are_enqueued_after_the_step(toy):
    made = toy.system({"itc": ITC(queue=6)})
    teacher = Teacher(made)
    itc = made.named_objectives()["itc"]
    step = toy.step(made, toy.batch(4), teacher=teacher, alpha=0.4)
    itc(step)
    itc.after_step(step)
    assert torch.equal(itc.queue.image[:4], step.teacher.image_embed())
    assert torch.equal(itc.queue.text[:4], step.teacher.text_embed())
    assert itc.queue.ids.tolist() == [1000, 1001, 1002, 1003, -100, -100]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"objectives.itc.temperature": 0.2, "objectives.focal_itc.temperature": 0.3}, 0.2),
        ({"objectives.focal_itc.temperature": 0.3}, 0.3),
        ({"model.temperature": 0.4}, 0.4),  # a run of the time when it was the model's
        ({"objectives.near.temperature": 0.2, "objectives.far.temperature": 0.3}, None),  # whose, can't be told
        ({"model.fusion.temperature": 0.2}, None),
        ({"objectives.itc.logit_scale": 3.0}, math.exp(-3)),
    ],
)
def test_a_fine_tuning_has_the_temperature_of_the_contrast_it_starts_from(toy, state, expected):
    itc = toy.system({"itc": ITC()}).named_objectives()["itc"]
    taken = itc.start_from("objectives.itc", {name: torch.tensor(value) for name, value in state.items()})
    assert {name: pytest.approx(value.item()) for name, value in taken.items()} == (
        {} if expected is None else {"temperature": expected}
    )


def test_alike_targets_beside_a_queue_without_ids(toy):
    """The queue knows pictures alone; rows without ids equal none of it."""
    made = toy.system({"itc": ITC(queue=6, targets="alike")})
    batch = replace(toy.batch(4), image_id=None, text_id=torch.tensor([0, 1, 0, 2]))
    target_BC = made.named_objectives()["itc"].hard_targets(toy.step(made, batch))
    assert target_BC.shape == (4, 10)
    assert target_BC[0].tolist() == [0.5, 0, 0.5, 0] + [0] * 6
    assert torch.isfinite(made(toy.step(made, batch)).total)


def test_a_queue_of_less_than_nothing_is_refused():
    """Before, torch's own traceback."""
    with pytest.raises(VlzooError, match="a queue of -1 features can't be"):
        ITC(queue=-1)


def as_clip(toy, **scale):
    """ITC in the batch with the scale that CLIP learns."""
    made = toy.system({"itc": ITC()})
    itc = made.named_objectives()["itc"]
    itc.build(made.model.spec(temperature={"initial": 0.07, "low": 0.01, "learned_as": "logit_scale", **scale}))
    return made, itc


def test_clips_scale(toy):
    """Radford et al. 2021: the scale is learned as a logarithm from log(1 / 0.07) on; exp of it is at most 100."""
    made, itc = as_clip(toy)
    assert float(itc.logit_scale) == pytest.approx(math.log(1 / 0.07))
    assert not any("temperature" in name for name in made.state_dict())
    step = toy.step(made, toy.batch(4))
    image, text = features(step)
    loss = itc(step)
    assert float(loss.total) == pytest.approx(literal(image, text, image, text, torch.eye(4).tolist(), 0.07), rel=1e-5)
    assert float(loss.parts["temperature"]) == pytest.approx(0.07)
    loss.total.backward()
    by_log = float(itc.logit_scale.grad)
    plain = toy.system({"itc": ITC()})
    plain.load_state_dict(made.state_dict() | {"objectives.itc.temperature": torch.tensor(0.07)}, strict=False)
    itself = plain.named_objectives()["itc"]
    itself(toy.step(plain, toy.batch(4))).total.backward()
    # With s = -log tau: dL/ds = -tau dL/dtau.
    assert by_log == pytest.approx(-0.07 * float(itself.temperature.grad), rel=1e-3)
    for value, kept in ((9.0, 100.0), (-9.0, 2.0), (3.0, math.exp(3))):
        with torch.no_grad():
            itc.logit_scale.fill_(value)
        itc.before_step()
        torch.testing.assert_close(itc.logits(torch.tensor([0.5])), torch.tensor([0.5 * kept]))
        assert float(itc.tau) == pytest.approx(1 / kept)


def test_clips_scale_that_is_not_learned(toy):
    assert not as_clip(toy, learned=False)[1].logit_scale.requires_grad


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"objectives.itc.logit_scale": 3.0}, 3.0),
        ({"objectives.itc.temperature": 0.2}, math.log(5)),
        ({"objectives.near.logit_scale": 2.0}, 2.0),
        ({"objectives.near.logit_scale": 2.0, "model.temperature": 0.2}, None),
    ],
)
def test_clips_scale_from_another_contrast(toy, state, expected):
    taken = as_clip(toy)[1].start_from("objectives.itc", {name: torch.tensor(value) for name, value in state.items()})
    assert {name: pytest.approx(value.item()) for name, value in taken.items()} == (
        {} if expected is None else {"logit_scale": expected}
    )
