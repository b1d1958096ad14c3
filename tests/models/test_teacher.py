"""The momentum teacher: its average, its ties, its copies of heads."""

from __future__ import annotations

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.runs.checkpoint import load_into, tensors_of


def moved(made):
    """A student that has stepped: every weight is 1 more."""
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(1.0)


def test_it_follows_by_its_momentum(toy):
    made = toy.system({"mlm": MLM(), "itm": ITM()}, teacher=True)
    teacher = Teacher(made, 0.9)
    start = {name: p.clone() for name, p in teacher.named_parameters()}
    moved(made)
    teacher.update(made)
    teacher.update(made)
    for name, parameter in teacher.named_parameters():
        # theta + (1 - m)(1 + m) of the way to theta + 1 after two updates: 1 - 0.9^2 = 0.19.
        torch.testing.assert_close(parameter, start[name] + 0.19, rtol=1e-4, atol=1e-5)
        assert not parameter.requires_grad


def test_a_head_tied_to_the_word_table_stays_tied_to_the_copied_one(toy):
    made = toy.system({"mlm": MLM()}, teacher=True)
    mlm = made.named_objectives()["mlm"]
    teacher = Teacher(made, 0.5)
    twin = teacher.twin(mlm, "head")
    assert twin.embedding is teacher.model.text_encoder.word_embedding()
    assert twin.embedding is not made.model.text_encoder.word_embedding()
    before = twin.embedding.clone()
    moved(made)
    teacher.update(made)
    # Half way, once: a table averaged under each of its names would be three quarters of the way.
    torch.testing.assert_close(twin.embedding, before + 0.5)


def frozen(toy):
    """A student whose text encoder is not trained, with a head that is tied to its table."""
    made = toy.system({"mlm": MLM(), "itm": ITM()}, teacher=True)
    made.model.text_encoder.requires_grad_(False)
    return made


def test_what_is_not_trained_is_the_teachers_too_and_no_copy(toy):
    made = frozen(toy)
    teacher = Teacher(made, 0.5)
    assert teacher.model.text_encoder is made.model.text_encoder
    assert teacher.model.fusion is not made.model.fusion
    twin = teacher.twin(made.named_objectives()["mlm"], "head")
    assert (
        twin.embedding is made.model.text_encoder.word_embedding() and twin.dense is not made.objectives.mlm.head.dense
    )
    before = {name: value.clone() for name, value in teacher.named_parameters()}
    with torch.no_grad():
        made.model.fusion.stack[0].key.weight.add_(1.0)
    teacher.update(made)
    changed = {name for name, value in teacher.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {"model.fusion.stack.0.key.weight"}


def test_its_state_holds_no_weight_of_the_students_and_is_put_back(toy):
    made = frozen(toy)
    held, whole = tensors_of(Teacher(made)), tensors_of(Teacher(toy.system({"mlm": MLM(), "itm": ITM()}, teacher=True)))
    assert set(whole) - set(held) == {name for name in whole if name.startswith("model.text_encoder.")}
    other = Teacher(frozen(toy))
    load_into(other, {name: value + 1 for name, value in held.items()}, where="here")
    assert all(torch.equal(value, held[name] + 1) for name, value in other.state_dict().items())
    assert torch.equal(other.model.text_encoder.word_embedding(), made.model.text_encoder.word_embedding())


def test_values_are_those_of_a_copy(toy):
    made = frozen(toy)
    batch = toy.batch(3)
    shared = toy.step(made, batch, teacher=Teacher(made)).teacher.fused().x
    made.model.text_encoder.requires_grad_(True)
    torch.testing.assert_close(toy.step(made, batch, teacher=Teacher(made)).teacher.fused().x, shared)


def test_a_head_that_is_not_mirrored_is_named(toy):
    made = toy.system({"itm": ITM()}, teacher=True)
    teacher = Teacher(made)
    with pytest.raises(VlzooError, match=r"no copy of ITM\.head"):
        teacher.twin(made.named_objectives()["itm"], "head")


def test_its_values_have_no_history_and_its_dropout_is_the_students(toy):
    made = toy.system({"mlm": MLM()}, teacher=True, dropout=0.5)
    assert Teacher(made).training
    step = toy.step(made, toy.batch(2), teacher=Teacher(made))
    assert not step.teacher.fused(text="masked").x.requires_grad
    assert not Teacher(made.eval()).training
