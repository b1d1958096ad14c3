"""Masked words read to the left, and the rest of a text written from its beginning: against literal arithmetic.

Legend: R rows, N image tokens, L text tokens, D width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.draws import IGNORED
from vlzoo.objectives.mlm import MLM, Seq2SeqMLM
from vlzoo.objectives.prefix_lm import BEGINNING, REST, PrefixLM
from vlzoo.step.memory import fused_memory
from vlzoo.types import Tokens


@pytest.mark.parametrize("merged", [False, True])
def test_a_masked_word_is_predicted_from_those_before_it_alone(toy, merged):
    """Each masked word by a pass over its text cut behind it: what stands later was never there."""
    made = toy.system({"seq2seq_mlm": Seq2SeqMLM(probability=0.5)}, merged=merged).eval()
    step = toy.step(made, toy.batch(4))
    text, model, losses = step.ids(Seq2SeqMLM.view), made.model, []
    for row, place in (text.labels != IGNORED).nonzero().tolist():
        ids = text.ids[row : row + 1, : place + 1]
        # Alone, the last word may read all before it; words before it must still read none behind them.
        causal_1LL = torch.ones(1, place + 1, place + 1, dtype=torch.bool).tril()
        words = model.text_encoder(ids, torch.ones_like(ids, dtype=torch.bool), among_BLL=causal_1LL)
        image = model.fusion.prepare(step.image().gather(torch.tensor([row])))
        fused = model.fusion.fuse(words, [image], among_PLL=causal_1LL)
        logit_V = made.objectives["seq2seq_mlm"].head(fused.x[0, -1])
        losses.append(-logit_V.log_softmax(-1)[text.labels[row, place]])
    loss = made.objectives["seq2seq_mlm"](step)
    torch.testing.assert_close(loss.total, torch.stack(losses).mean(), atol=2e-5, rtol=1e-5)
    assert loss.count == len(losses) > 4


def test_both_ways_of_masking_stand_in_one_step_with_words_of_their_own(toy):
    made = toy.system({"mlm": MLM(probability=0.4), "seq2seq_mlm": Seq2SeqMLM(probability=0.4)}).eval()
    step = toy.step(made, toy.batch(4))
    losses = made(step)
    assert not torch.equal(step.ids("masked").ids, step.ids(Seq2SeqMLM.view).ids)
    alone = toy.system({"mlm": MLM(probability=0.4)}).eval()
    assert torch.equal(alone(toy.step(alone, toy.batch(4)))["mlm"].total, losses["mlm"].total)
    assert not losses["mlm"].total.isclose(losses["seq2seq_mlm"].total)


@pytest.mark.parametrize("reads", ["fused", "all"])
def test_the_rest_is_written_from_what_the_fusion_reads_of_the_beginning(toy, reads):
    """Row by row and word by word, with the fusion's states of the beginning (and of the picture) as memory."""
    made = toy.system({"prefix_lm": PrefixLM(smoothing=0.1)}, decoder=True, merged=True, reads=reads)
    made.objectives["prefix_lm"].meet(made.model)
    made.eval()
    batch = toy.batch(4)
    step, model, losses = toy.step(made, batch), made.model, []
    for row in range(4):
        ids = batch.texts["text"].ids[row, batch.texts["text"].mask[row]]
        size = int(step.ids(BEGINNING).mask[row].sum())
        assert torch.equal(step.ids(BEGINNING).ids[row, :size], ids[:size]) and size < len(ids)
        begun = ids[None, :size]
        words = model.text_encoder(begun, torch.ones_like(begun, dtype=torch.bool))
        image = step.image().gather(torch.tensor([row]))
        fused = model.fusion.fuse(words, [model.fusion.prepare(image)], image_states=True)
        x_1ND = torch.cat([fused.x, fused.image], dim=1) if reads == "all" else fused.x
        memory = model.decoder.prepare(Tokens(x_1ND, torch.ones(x_1ND.shape[:2], dtype=torch.bool), x_1ND[:, 0]))
        written, targets = [2], [*ids[size:].tolist(), 3]
        for target in targets:
            at = torch.tensor([written])
            gain_V = model.decoder(at, torch.ones_like(at, dtype=torch.bool), memory)[0, -1].log_softmax(-1)
            losses.append(-0.9 * gain_V[target] - 0.1 * gain_V.mean())
            written.append(target)
    loss = made.objectives["prefix_lm"](step)
    torch.testing.assert_close(loss.total, torch.stack(losses).mean(), atol=2e-5, rtol=1e-5)
    assert loss.count == len(losses) == int(step.ids(REST).mask.sum()) - 4


def test_another_step_parts_texts_elsewhere(toy):
    made = toy.system({"prefix_lm": PrefixLM()}, decoder=True)
    batch = toy.batch(8)
    lengths = [toy.step(made, batch, number=n).ids(BEGINNING).mask.sum(1).tolist() for n in (0, 0, 1)]
    assert lengths[0] == lengths[1] != lengths[2]


def test_captions_begin_where_nothing_is_said_of_a_picture_yet(toy):
    made = toy.system({"prefix_lm": PrefixLM()}, decoder=True, merged=True, reads="all")
    made.objectives["prefix_lm"].meet(made.model)
    step = toy.step(made.eval(), toy.batch(3))
    memory = made.offered("captions").memory(step)
    assert memory.x.shape == (3, 1 + step.image().x.shape[1], toy.WIDTH)
    other = toy.step(made, toy.batch(3, seed=0))  # the same pictures; what is said of them is not read
    other.batch.texts["text"].ids[:, 1:] = 7
    torch.testing.assert_close(made.offered("captions").memory(other).x, memory.x)


@pytest.mark.parametrize("reads", ["fused", "all"])
def test_a_prompt_is_the_beginning_in_training_and_where_captions_are_asked_for(toy, reads):
    made = toy.system({"prefix_lm": PrefixLM()}, decoder=True, merged=True, reads=reads)
    made.objectives["prefix_lm"].meet(made.model)
    batch = toy.batch(4)
    text = batch.texts["text"]
    text.ids[:, 1:3] = torch.tensor([7, 8])
    prompted = replace(batch, texts={"text": replace(text, prefix=torch.full((4,), 3))})
    for number in (0, 1):  # whatever the step
        step = toy.step(made.eval(), prompted, number=number)
        assert step.ids(BEGINNING).ids.tolist() == [[2, 7, 8]] * 4 and step.ids(BEGINNING).mask.all()
        rest, words = step.ids(REST), text.mask.sum(1) - 3
        assert rest.mask.sum(1).tolist() == (words + 2).tolist()  # between the tokens that texts begin and end with
        assert all(torch.equal(rest.ids[row, 1 : 1 + n], text.ids[row, 3 : 3 + n]) for row, n in enumerate(words))
    captions = made.offered("captions")
    trained = fused_memory(step.student, step.student.fused(text=BEGINNING, image_states=reads == "all"))
    asked = captions.memory(step, [7, 8])
    assert captions.reads_prompt and torch.equal(asked.mask, trained.mask)
    torch.testing.assert_close(asked.x, trained.x)
    assert captions.memory(step).x.shape != asked.x.shape
