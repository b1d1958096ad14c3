"""ITM, MLM, answers and classes against their formulas, written out.

Legend: B batch rows, P pairs, T scored tokens, V vocabulary, C classes.
"""

from __future__ import annotations

import math

import pytest
import torch

from vlzoo.draws import IGNORED
from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.classify import Classify
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED
from vlzoo.types import Tokens


def log_p(logits: torch.Tensor) -> list[float]:
    """log softmax of one row, by hand."""
    row = logits.detach().double().tolist()
    top = max(row)
    total = top + math.log(sum(math.exp(x - top) for x in row))
    return [x - total for x in row]


def distilled(student: torch.Tensor, label: int, teacher: torch.Tensor | None, alpha: float) -> float:
    """`(1 - alpha) (- log p_label) + alpha (- sum_v q_v log p_v)` of one row; q the teacher's softmax."""
    ours = log_p(student)
    if teacher is None:
        return -ours[label]
    soft = -sum(math.exp(q) * p for q, p in zip(log_p(teacher), ours, strict=True))
    return (1 - alpha) * -ours[label] + alpha * soft


def apart(teacher: Teacher) -> Teacher:
    """A teacher whose weights have moved away from its student's."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return teacher


def test_itm_over_positives_and_both_kinds_of_negatives(toy):
    made = toy.system({"itm": ITM()})
    itm = made.named_objectives()["itm"]
    step = toy.step(made, toy.batch(4))
    loss = itm(step)
    text, image, mined = step.text(), step.image(), step.negatives
    rows = [(b, b, 1) for b in range(4)]
    rows += [(b, int(mined.image_for_text[b]), 0) for b in range(4)]
    rows += [(int(mined.text_for_image[b]), b, 0) for b in range(4)]
    losses, right = [], 0
    for t, i, label in rows:  # each pair by itself
        fused = made.model.fusion.fuse(
            text.gather(torch.tensor([t])), [made.model.fusion.prepare(image.gather(torch.tensor([i])))]
        )
        logits = itm.head(fused.cls)[0]
        losses.append(-log_p(logits)[label])
        right += int(logits.argmax()) == label
    assert float(loss.total) == pytest.approx(sum(losses) / 12, rel=1e-4)
    assert float(loss.parts["itm_accuracy"]) == pytest.approx(right / 12)


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_mlm_on_masked_positions_with_the_teacher(toy, alpha):
    made = toy.system({"mlm": MLM(probability=0.4)})
    teacher = apart(Teacher(made))
    step = toy.step(made, toy.batch(4), teacher=teacher, alpha=alpha)
    mlm = made.named_objectives()["mlm"]
    total = float(mlm(step).total)
    ours = mlm.head(full(made.model, step))
    theirs = teacher.twin(mlm, "head")(full(teacher.model, step))
    labels = step.ids(MASKED).labels
    places = [(b, t) for b, t in torch.nonzero(labels != IGNORED).tolist()]
    assert len(places) >= 3
    each = [distilled(ours[b, t], int(labels[b, t]), theirs[b, t] if alpha else None, alpha) for b, t in places]
    assert total == pytest.approx(sum(each) / len(each), rel=1e-4)


def full(model, step):
    """States of the masked view at all positions, without Step."""
    text = step.ids(MASKED)
    image = model.fusion.prepare(model.image_encoder(step.batch.images["image"]))
    return model.fusion.fuse(model.text_encoder(text.ids, text.mask), [image]).x


def test_mlm_with_nothing_masked_is_zero_with_finite_gradients(toy):
    made = toy.system({"mlm": MLM(probability=0.0)})
    loss = made.named_objectives()["mlm"](toy.step(made, toy.batch(3)))
    loss.total.backward()
    assert float(loss.total.detach()) == 0.0
    assert all(bool(torch.isfinite(p.grad).all()) for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_answers_are_weighted_and_divided_by_questions(toy, alpha):
    made = toy.system({"answer": Answer()}, decoder=True)
    teacher = apart(Teacher(made))
    batch = toy.answers(toy.batch(3))
    step = toy.step(made, batch, teacher=teacher, alpha=alpha)
    total = float(made.named_objectives()["answer"](step).total)
    answer, expected = batch.texts["answer"], 0.0
    for a, row in enumerate(batch.extra["answer_row"].tolist()):  # answer by answer, without padding
        ids = answer.ids[a][answer.mask[a]][None]
        ours, theirs = (decoded(model, batch, row, ids) for model in (made.model, teacher.model))
        for t in range(ids.shape[1] - 1):
            soft = theirs[0, t] if alpha else None
            each = distilled(ours[0, t], int(ids[0, t + 1]), soft, alpha)
            expected += float(batch.extra["answer_weight"][a]) * each
    # ALBEF `model_vqa.py`: the sum over answers and tokens, divided by the number of questions.
    assert total == pytest.approx(expected / 3, rel=1e-4)


def decoded(model, batch, row, ids):
    at = torch.tensor([row])
    text = batch.texts["text"].gather(at)
    image = model.fusion.prepare(model.image_encoder(batch.images["image"][at]))
    fused = model.fusion.fuse(model.text_encoder(text.ids, text.mask), [image])
    memory = model.decoder.prepare(Tokens(fused.x, text.mask, fused.cls))
    return model.decoder(ids[:, :-1], torch.ones_like(ids[:, :-1], dtype=torch.bool), memory)


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_classes_with_the_teacher(toy, images, alpha):
    made = toy.system({"classify": Classify(images=images)}, classes=3, images=images)
    teacher = apart(Teacher(made))
    batch = toy.batch(4, classes=3, views=images)
    classify = made.named_objectives()["classify"]
    loss = classify(toy.step(made, batch, teacher=teacher, alpha=alpha))
    ours = classify.head(first_states(made.model, batch))
    theirs = teacher.twin(classify, "head")(first_states(teacher.model, batch))
    each = [distilled(ours[b], int(batch.labels[b]), theirs[b] if alpha else None, alpha) for b in range(len(batch))]
    assert float(loss.total) == pytest.approx(sum(each) / 4, rel=1e-4)
    right = sum(int(ours[b].argmax()) == int(batch.labels[b]) for b in range(4))
    assert float(loss.parts["accuracy"]) == right / 4


def first_states(model, batch):
    text = batch.texts["text"]
    prepared = [model.fusion.prepare(model.image_encoder(image)) for image in batch.images.values()]
    return model.fusion.fuse(model.text_encoder(text.ids, text.mask), prepared).cls


def test_what_a_batch_lacks_is_named(toy):
    made = toy.system({"classify": Classify(), "answer": Answer()}, classes=2)
    step = toy.step(made, toy.batch(2))
    with pytest.raises(VlzooError, match="needs labels"):
        made.named_objectives()["classify"](step)
    with pytest.raises(VlzooError, match="needs answers"):
        made.named_objectives()["answer"](step)
    with pytest.raises(VlzooError, match="needs classes"):
        toy.system({"classify": Classify()})
