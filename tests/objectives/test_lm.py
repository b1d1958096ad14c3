"""The next word at every place, against loops over words.

Legend: R rows, L text tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.objectives.lm import LM
from vlzoo.step.plan import WRITTEN, Plan

SEP = 3


def system(toy, **options):
    return toy.system({"lm": LM(**options)}, decoder=True, reads="image").eval()


def each_word(made, step, row: int):
    """Logits [V] and the true id of each word of a row's text: every beginning read anew, by a pass of its own."""
    decoder, text = made.model.decoder, step.ids(WRITTEN)
    ids = text.ids[row, text.mask[row]].tolist()
    memory = step.image().gather(torch.tensor([row])) if step.plan.main_image else None
    for place in range(1, len(ids)):
        begun = torch.tensor([ids[:place]])
        prepared = None if memory is None else decoder.prepare(memory)
        yield decoder(begun, torch.ones_like(begun, dtype=torch.bool), prepared)[0, -1], ids[place]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_mean_over_words_and_end_tokens(toy, smoothing):
    made = system(toy, smoothing=smoothing)
    step = toy.step(made, toy.batch(4))
    loss = made.objectives["lm"](step)
    losses = []
    for row in range(4):
        for logit_V, target in each_word(made, step, row):
            gain_V = logit_V.log_softmax(-1)
            losses.append(-(1 - smoothing) * gain_V[target] - smoothing * gain_V.mean())
    torch.testing.assert_close(loss.total, torch.stack(losses).mean())
    assert loss.count == len(losses)


def test_every_text_ends_with_an_end_token_that_is_predicted(toy):
    made, batch = system(toy), toy.batch(4)
    step = toy.step(made, batch)
    assert all(ids[mask][-1] == SEP for ids, mask in zip(step.ids(WRITTEN).ids, step.ids(WRITTEN).mask, strict=True))
    assert made.objectives["lm"](step).count == int(batch.texts["text"].mask.sum())


def test_a_stream_without_pictures_is_read_by_words_alone(toy):
    made = system(toy)
    batch = replace(toy.batch(3), images={})
    step = toy.step(made, batch, start=Plan(main_image=()))
    losses = [-logit_V.log_softmax(-1)[t] for row in range(3) for logit_V, t in each_word(made, step, row)]
    total = made.objectives["lm"](step).total
    torch.testing.assert_close(total, torch.stack(losses).mean())
    seen = made.objectives["lm"](toy.step(made, toy.batch(3))).total
    assert not torch.isclose(seen, total)


def test_words_of_a_prefix_are_read_and_not_scored(toy):
    made, batch = system(toy), toy.batch(2)
    text = replace(batch.texts["text"], prefix=torch.tensor([1, 3]))
    step = toy.step(made, replace(batch, texts={"text": text}))
    losses = []
    for row in range(2):
        words = list(each_word(made, step, row))
        losses += [-logit_V.log_softmax(-1)[t] for logit_V, t in words[int(text.prefix[row]) - 1 :]]
    loss = made.objectives["lm"](step)
    torch.testing.assert_close(loss.total, torch.stack(losses).mean())
    assert loss.count == len(losses)


def test_a_teacher_is_a_second_target_where_it_is_asked_for(toy):
    from vlzoo.models.teacher import Teacher

    batch = toy.batch(3)
    made, plain = system(toy, distil=True), system(toy)
    teacher = Teacher(made)
    for parameter in teacher.parameters():
        parameter.data.mul_(1.1)
    step = toy.step(made, batch, teacher=teacher, alpha=0.4)
    hard = plain.objectives["lm"](toy.step(plain, batch, teacher=teacher, alpha=0.4)).total
    soft = []
    for row in range(3):
        taught = each_word(teacher, toy.step(teacher_system(teacher, made), batch), row)
        for (logit_V, _), (teacher_V, _) in zip(each_word(made, step, row), taught, strict=True):
            soft.append(-(teacher_V.softmax(-1) * logit_V.log_softmax(-1)).sum())
    expected = 0.6 * hard + 0.4 * torch.stack(soft).mean()
    torch.testing.assert_close(made.objectives["lm"](step).total, expected)


def teacher_system(teacher, made):
    """A system with the teacher's weights, to make passes of."""
    from vlzoo.models.assemble import System

    return System(teacher.model, made.named_objectives(), {"lm": 1.0})


def test_the_text_encoder_is_not_run_for_it(toy, monkeypatch):
    made = system(toy)
    monkeypatch.setattr(made.model.text_encoder, "forward", lambda *_, **__: pytest.fail("nobody reads these tokens"))
    made.objectives["lm"](toy.step(made, toy.batch(2))).total.backward()


def test_a_tokenizer_without_the_token_is_told(toy):
    with pytest.raises(VlzooError, match=r"the tokenizer has no token '\[DEC\]' for texts to begin with"):
        system(toy, start="[DEC]")
    with pytest.raises(VlzooError, match=r"smoothing 1\.5 is no share"):
        LM(smoothing=1.5)


def test_it_lends_what_captions_are_written_from(toy):
    made = system(toy)
    step = toy.step(made, toy.batch(2))
    captions = made.offered("captions")
    assert torch.equal(captions.memory(step).x, step.image().x)
    assert (captions.start, captions.end) == ("cls", "sep")
    with pytest.raises(VlzooError, match="no pictures for the decoder to read"):
        captions.memory(toy.step(made, replace(toy.batch(2), images={}), start=Plan(main_image=())))
