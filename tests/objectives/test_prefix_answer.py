"""Answers behind their questions, against a pass for every word.

Legend: R rows, A answers, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.batch import Text
from vlzoo.errors import VlzooError
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.prefix_answer import PrefixAnswer

SEP = 3


def system(toy):
    return toy.system({"prefix_answer": PrefixAnswer()}, decoder=True, reads="image").eval()


def each_word(model, step, question: list[int], answer: list[int], row: int):
    """Logits [V] and the id of each of an answer's tokens: all that stands before it is read anew."""
    decoder, memory = model.decoder, step.image().gather(torch.tensor([row]))
    whole = [*question, *answer]
    for place in range(len(question), len(whole)):
        at = torch.tensor([whole[:place]])
        yield decoder(at, at >= 0, decoder.prepare(memory))[0, -1], whole[place]


def rows(batch):
    """Each answer as its question's ids, its own without the first, its row and its weight."""
    question, answer = batch.texts["text"], batch.texts["answer"]
    for number, (row, weight) in enumerate(
        zip(batch.extra["answer_row"].tolist(), batch.extra["answer_weight"].tolist(), strict=True)
    ):
        asked = question.ids[row, question.mask[row]].tolist()
        yield asked, answer.ids[number, answer.mask[number]].tolist()[1:], row, weight


def test_the_loss_is_on_the_answers_words_behind_their_questions(toy):
    made, batch = system(toy), toy.answers(toy.batch(4))
    step = toy.step(made, batch)
    losses = [
        -weight * logit_V.log_softmax(-1)[word]
        for asked, answer, row, weight in rows(batch)
        for logit_V, word in each_word(made.model, step, asked, answer, row)
    ]
    loss = made.objectives["prefix_answer"](step)
    assert len({len(asked) for asked, *_ in rows(batch)}) > 1  # questions of several lengths
    torch.testing.assert_close(loss.total, torch.stack(losses).sum() / 4)
    assert loss.count == 4


def test_a_teachers_words_are_a_second_target(toy):
    made, batch = system(toy), toy.answers(toy.batch(3))
    teacher = Teacher(made)
    for parameter in teacher.parameters():
        parameter.data.mul_(1.1)
    hard = made.objectives["prefix_answer"](toy.step(made, batch)).total
    step = toy.step(made, batch, teacher=teacher, alpha=0.4)
    soft = []
    for asked, answer, row, weight in rows(batch):
        images = [each.image().gather(torch.tensor([row])) for each in (step.student, step.teacher)]
        whole = [*asked, *answer]
        for place in range(len(asked), len(whole)):
            at = torch.tensor([whole[:place]])
            models = zip((made.model, teacher.model), images, strict=True)
            own_V, taught_V = (m.decoder(at, at >= 0, m.decoder.prepare(image))[0, -1] for m, image in models)
            soft.append(-weight * (taught_V.softmax(-1) * own_V.log_softmax(-1)).sum())
    expected = 0.6 * hard + 0.4 * torch.stack(soft).sum() / 3
    torch.testing.assert_close(made.objectives["prefix_answer"](step).total, expected)


def test_a_question_that_the_tokenizer_ends_is_left_open(toy):
    made, batch = system(toy), toy.answers(toy.batch(3))
    text = batch.texts["text"]
    lengths = text.mask.sum(1)
    ids = torch.cat([text.ids, torch.zeros(3, 1, dtype=torch.int64)], dim=1)
    ids[torch.arange(3), lengths] = SEP
    ended = replace(text, ids=ids, mask=torch.arange(ids.shape[1]) <= lengths[:, None], special=ids < 5)
    step = toy.step(made, replace(batch, texts={**batch.texts, "text": ended}))
    objective = made.objectives["prefix_answer"]
    torch.testing.assert_close(objective(step).total, objective(toy.step(made, batch)).total)
    prompt = objective.prompt(step)
    assert [row[real].tolist() for row, real in zip(prompt.ids, prompt.mask, strict=True)] == [
        row[real].tolist() for row, real in zip(text.ids, text.mask, strict=True)
    ]


def test_a_question_that_leaves_no_room_is_one_message(toy):
    made, batch = system(toy), toy.answers(toy.batch(2))
    long = toy.text([[5] * 14, [6]])
    step = toy.step(made, replace(batch, texts={**batch.texts, "text": long}))
    said = r"a prompt of 15 tokens and a text of 3 behind it .* 16 positions\n.*tokenizer\.max_length.*18 positions"
    with pytest.raises(VlzooError, match=said):
        made.objectives["prefix_answer"](step)


def test_data_without_answers_are_told(toy):
    made = system(toy)
    with pytest.raises(VlzooError, match="needs answers"):
        made.objectives["prefix_answer"](toy.step(made, toy.batch(2)))


def test_it_lends_the_picture_and_the_question(toy):
    made, batch = system(toy), toy.answers(toy.batch(3))
    step = toy.step(made, batch)
    answers = made.offered("answers")
    assert torch.equal(answers.memory(step).x, step.image().x)
    assert isinstance(answers.prompt(step), Text) and torch.equal(answers.prompt(step).ids, batch.texts["text"].ids)
