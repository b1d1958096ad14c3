"""Self-critical training against loops over captions and words.

Legend: R rows, K drawn captions of a row, T ids of the longest caption, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vlzoo.bench.captioning.task import Captioning
from vlzoo.config.schema import Recipe
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, UnknownName, VlzooError
from vlzoo.metrics.captions import CiderD
from vlzoo.models.assemble import build_system
from vlzoo.models.generate import Written
from vlzoo.objectives import scst as module
from vlzoo.objectives.lm import LM
from vlzoo.objectives.scst import SCST
from vlzoo.step.plan import WRITTEN
from vlzoo.types import Term

CLS, SEP = 2, 3
LENGTH = 6


def system(toy, of, dropout: float = 0.0, **options):
    """A model whose decoder reads pictures, with the objective that has seen the batch's captions."""
    made = toy.system({"scst": SCST(**{"length": LENGTH, **options})}, decoder=True, reads="image", dropout=dropout)
    made.objectives["scst"].learn(toy.samples(of), toy.tokenizer())
    return made


def likeliest(gain_V: torch.Tensor, number: float) -> int:
    """The word in whose share of all chances a number falls, the likeliest first."""
    passed, order = 0.0, gain_V.double().softmax(-1).sort(descending=True)
    for chance, word in zip(order.values.tolist(), order.indices.tolist(), strict=True):
        passed += chance
        if number < passed:
            return word
    return int(order.indices[-1])


def written(made, step, row: int, numbers_T, first, temperature: float):
    """A row's caption, every beginning of it read anew, and the log-probability of what stands behind `first`."""
    decoder, ids, total = made.model.decoder, list(first), torch.zeros(())
    memory = step.image().gather(torch.tensor([row]))
    while len(ids) < LENGTH and (ids[-1] != SEP or len(ids) == len(first)):
        at = torch.tensor([ids])
        gain_V = decoder(at, at >= 0, decoder.prepare(memory))[0, -1] / temperature
        ids.append(likeliest(gain_V.detach(), 0.0 if numbers_T is None else float(numbers_T[len(ids)])))
        total = total + gain_V.log_softmax(-1)[ids[-1]]
    return ids[len(first) :], total


def by_hand(toy, made, step, *, baseline: str, samples: int, temperature: float = 1.0):
    """The loss, mean rewards of drawn captions, and mean baselines, by loops over rows, captions and words."""
    words, references = toy.tokenizer(), step.batch.references
    judge = CiderD(references)
    numbers_RKT = step.draws.uniform("scst", step.batch.key, samples * LENGTH).view(len(step), samples, LENGTH)
    losses, rewards, baselines = [], [], []
    for row, texts in enumerate(references):

        def reward(ids, texts=texts):
            return float(judge([words.decode(ids)], [texts])[0])

        prefix = step.ids(WRITTEN).prefix
        first = step.ids(WRITTEN).ids[row, : 1 if prefix is None else int(prefix[row])].tolist()
        drawn = [written(made, step, row, numbers_RKT[row, k], first, temperature) for k in range(samples)]
        greedy, _ = written(made, step, row, None, first, temperature)
        for k, (ids, gain) in enumerate(drawn):
            others = [reward(other) for n, (other, _) in enumerate(drawn) if n != k]
            against = reward(greedy) if baseline == "greedy" else sum(others) / len(others)
            losses.append(-(reward(ids) - against) * gain)
            rewards.append(reward(ids))
            baselines.append(against)
    return torch.stack(losses).mean(), np.mean(rewards), np.mean(baselines)


HOW = [
    {"baseline": "greedy", "samples": 1},
    {"baseline": "greedy", "samples": 3},
    {"baseline": "samples", "samples": 3},
    {"baseline": "greedy", "samples": 2, "temperature": 0.6},
]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_loss_and_gradients_are_those_of_loops_over_captions_and_words(toy, how):
    batch = toy.batch(5)
    made = system(toy, batch, **how)
    step = toy.step(made, batch, number=3)
    expected, reward, against = by_hand(toy, made, step, **how)
    wanted = torch.autograd.grad(expected, list(made.model.parameters()), allow_unused=True)
    assert reward > 0 and any(grad is not None and grad.abs().max() > 1e-3 for grad in wanted)
    loss = made.objectives["scst"](toy.step(made, batch, number=3))
    torch.testing.assert_close(loss.total, expected, atol=1e-5, rtol=1e-5)
    assert float(loss.parts["reward"]) == pytest.approx(reward, abs=1e-6)
    assert float(loss.parts["baseline"]) == pytest.approx(against, abs=1e-6)
    assert loss.count == 5
    found = torch.autograd.grad(loss.total, list(made.model.parameters()), allow_unused=True)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_prompt_is_gone_on_from_and_neither_scored_nor_judged(toy):
    batch = toy.batch(3)
    text = batch.texts["text"]
    ids = torch.cat([text.ids[:, :1], torch.tensor([[7, 9]] * 3), text.ids[:, 1:]], dim=1)
    mask = torch.cat([torch.ones(3, 2, dtype=torch.bool), text.mask], dim=1)
    text = replace(text, ids=ids, mask=mask, special=ids < 5, prefix=torch.tensor([3, 3, 3]))
    batch = replace(batch, texts={"text": text})
    made = system(toy, batch, samples=2)
    step = toy.step(made, batch)
    expected, _, _ = by_hand(toy, made, step, baseline="greedy", samples=2)
    torch.testing.assert_close(made.objectives["scst"](step).total, expected, atol=1e-5, rtol=1e-5)
    mixed = replace(batch, texts={"text": replace(text, prefix=torch.tensor([3, 1, 3]))})
    with pytest.raises(VlzooError, match="have from 1 to 3 tokens"):
        made.objectives["scst"](toy.step(made, mixed))


def said(monkeypatch, captions) -> None:
    """Let these captions be written, whatever the model is."""
    made = [Written([CLS, *ids], 0.0) for ids in captions]
    monkeypatch.setattr(module, "generate", lambda *_, **__: made)


def test_the_reward_is_the_benchs_cider(toy, monkeypatch):
    """Of the same captions against the same references, with signs and capitals; papers print it times 100."""
    batch, words = toy.batch(4), toy.tokenizer()
    references = [(f"{one.upper()}, {other}.", other, "w5 w6!") for one, other in batch.references]
    batch = replace(batch, references=references)
    captions = [[*words.encode(texts[0])[2:], 9, SEP] for texts in references]
    made = system(toy, batch, baseline="greedy")
    said(monkeypatch, [each for ids in captions for each in ([SEP], ids)])  # a row's greedy caption, then the drawn one
    loss = made.objectives["scst"](toy.step(made, batch))
    samples = toy.samples(batch)
    rows = {sample.name: {"caption": words.decode(ids)} for sample, ids in zip(samples, captions, strict=True)}
    cider = Captioning().score(samples, rows).scores[0]
    assert cider.metric == "CIDEr" and cider.value > 10
    assert 100 * float(loss.parts["reward"]) == pytest.approx(cider.value, abs=1e-4)
    assert float(loss.parts["baseline"]) == 0


def test_an_empty_caption_is_worth_nothing_and_learned_from(toy, monkeypatch):
    """Its end token is what was drawn: where the greedy caption is better, the end becomes less likely."""
    batch = toy.batch(2)
    made = system(toy, batch)
    right = [toy.tokenizer().encode(texts[0])[1:] for texts in batch.references]
    said(monkeypatch, [each for ids in right for each in ([*ids, SEP], [SEP])])
    step = toy.step(made, batch)
    loss = made.objectives["scst"](step)
    assert float(loss.parts["reward"]) == 0 and float(loss.parts["baseline"]) > 1
    start = torch.full((2, 1), CLS)
    gain_RV = made.model.decoder(start, start > 0, made.model.decoder.prepare(step.image()))[:, 0].log_softmax(-1)
    judged = CiderD(batch.references)([texts[0] for texts in batch.references], batch.references)
    expected = (torch.tensor(judged) * gain_RV[:, SEP]).mean()  # -(0 - r) log p(end)
    torch.testing.assert_close(loss.total, expected.float(), atol=1e-5, rtol=1e-5)


def test_rows_with_one_reference_and_with_none(toy):
    """One is compared with itself alone; a row without any counts for nothing, not even in the mean."""
    batch = toy.batch(4)
    batch = replace(batch, references=[batch.references[0], batch.references[1][:1], (), batch.references[3]])
    made = system(toy, batch, samples=2)
    some = replace(toy.taken(batch, [0, 1, 3]))
    with_references = made.objectives["scst"](toy.step(made, some))
    loss = made.objectives["scst"](toy.step(made, batch))
    torch.testing.assert_close(loss.total, with_references.total, atol=1e-5, rtol=1e-5)
    expected, _, _ = by_hand(toy, made, toy.step(made, some), baseline="greedy", samples=2)
    # The judge has counted three pictures: the one without captions is not one of them.
    torch.testing.assert_close(loss.total, expected, atol=1e-5, rtol=1e-5)
    assert loss.count == 3
    none = made.objectives["scst"](toy.step(made, replace(batch, references=[()] * 4)))
    assert none.count == 0 and none.total.item() == 0
    none.total.backward()


@pytest.mark.parametrize("cut", [3, 1])
def test_two_halves_have_the_loss_and_the_gradient_of_the_whole(toy, cut):
    batch = toy.batch(6)
    made = system(toy, batch, baseline="samples", samples=3)
    whole = made.objectives["scst"](toy.step(made, batch)).total
    halves = [made.objectives["scst"](toy.step(made, toy.taken(batch, rows))) for rows in (range(cut), range(cut, 6))]
    parts = [Term(loss.total, loss.count) for loss in halves]
    total = sum(part.mean * part.count for part in parts) / 6
    torch.testing.assert_close(total, whole, atol=1e-5, rtol=1e-5)
    weight = made.model.decoder.head.dense.weight
    one, other = (torch.autograd.grad(each, weight)[0] for each in (whole, total))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_captions_are_written_without_dropout_and_every_module_is_left_as_it_was(toy):
    batch = toy.batch(3)
    found = []
    for dropout in (0.0, 0.5):
        made = system(toy, batch, dropout=dropout)
        made.model.image_encoder.eval()
        made.model.decoder.embedding.eval()  # as a frozen part rests
        before = {name: each.training for name, each in made.named_modules()}
        found.append(made.objectives["scst"](toy.step(made, batch)))
        assert {name: each.training for name, each in made.named_modules()} == before
    # The same captions, so the same rewards; their probabilities are those of a pass with dropout.
    assert found[0].parts["reward"] == found[1].parts["reward"] > 0
    assert not torch.isclose(found[0].total, found[1].total)


def test_captions_are_written_of_pictures_as_they_will_be_seen(toy):
    """An encoder that drops half of its numbers in training changes no caption, and all of their probabilities."""
    batch, found = toy.batch(3), []
    for chance in (0.0, 0.5):
        made = system(toy, batch)
        encoder, looks = made.model.image_encoder, []
        assert encoder.dropout.p == 0.0
        encoder.dropout.p = chance
        encoder.register_forward_pre_hook(lambda module, _, looks=looks: looks.append(module.training))
        found.append(made.objectives["scst"](toy.step(made, batch)))
        assert looks == ([True] if not chance else [True, False])  # nothing is dropped: once is enough
        assert all(module.training for module in encoder.modules())
    for figure in ("reward", "baseline"):
        assert found[0].parts[figure] == found[1].parts[figure] > 0
    assert not torch.isclose(found[0].total, found[1].total)


def test_the_end_of_a_caption_may_count_as_a_word(toy, monkeypatch):
    batch, words = toy.batch(2), toy.tokenizer()
    captions = [words.encode(texts[0])[1:] for texts in batch.references]
    for judges_end, better in ((False, False), (True, True)):
        made = system(toy, batch, judges_end=judges_end, baseline="greedy")
        said(monkeypatch, [each for ids in captions for each in (ids, [*ids, SEP])])  # cut off, and ended
        parts = made.objectives["scst"](toy.step(made, batch)).parts
        assert bool(parts["reward"] > parts["baseline"] + 0.1) == better
        monkeypatch.undo()


def expected_reward(toy, made, batch) -> float:
    """The mean reward of 64 drawn captions a picture, at steps that nothing is learned from."""
    with torch.no_grad():
        steps = [toy.step(made, batch, number=1000 + n) for n in range(16)]
        return float(np.mean([float(made.objectives["scst"](step).parts["reward"]) for step in steps]))


@pytest.mark.parametrize("how", [{"baseline": "greedy", "samples": 4}, {"baseline": "samples", "samples": 4}], ids=str)
def test_the_expected_reward_rises(toy, how):
    """From word-by-word training that has just begun: over sixty steps it more than doubles."""
    batch = toy.batch(4)
    made = system(toy, batch, **how)
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    before = expected_reward(toy, made, batch)
    for number in range(60):
        optimizer.zero_grad()
        made.objectives["scst"](toy.step(made, batch, number=number)).total.backward()
        optimizer.step()
    assert expected_reward(toy, made, batch) > 2 * before > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"baseline": "greed"}, UnknownName, r"baseline can't be 'greed'\n.*greedy"),
        ({"baseline": "samples"}, VlzooError, "samples is 1, and the baseline samples takes 2 or more"),
        ({"samples": 0}, VlzooError, "samples is 0, and the baseline greedy takes 1 or more"),
        ({"temperature": 0.0}, VlzooError, r"temperature can't be 0\.0"),
        ({"length": 1}, VlzooError, "length can't be 1"),
    ],
)
def test_an_option_that_can_not_be_is_told(options, error, message):
    with pytest.raises(error, match=message):
        SCST(**options)


def test_what_it_needs_and_does_not_find_is_told(toy):
    batch = toy.batch(2)
    made = toy.system({"scst": SCST(length=LENGTH)}, decoder=True, reads="image")
    with pytest.raises(VlzooError, match="it has seen no training data"):
        made.objectives["scst"](toy.step(made, batch))
    made = system(toy, batch)
    with pytest.raises(VlzooError, match=r"bring no references(.|\n)*rows\.references=true"):
        made.objectives["scst"](toy.step(made, replace(batch, references=())))
    made = system(toy, batch, length=30)
    with pytest.raises(VlzooError, match="texts of 30 ids are longer than the 16 positions of the decoder"):
        made.objectives["scst"](toy.step(made, batch))


def test_data_that_it_can_not_learn_from_are_told(toy):
    one = Sample("1#0", texts=("a dog",), image_id="1")
    learn = SCST().learn
    with pytest.raises(DataError, match="no sample of the training data has a caption"):
        learn([Sample("1"), Sample("2")], toy.tokenizer())
    with pytest.raises(DataError, match=r"samples 1#0 and 1#1 show one picture(.|\n)*data\.unit=image"):
        learn([one, replace(one, name="1#1", texts=("a cat",))], toy.tokenizer())
    learn([one, one], toy.tokenizer())  # a mixture of weight 2 shows it twice


@pytest.mark.parametrize(
    ("decoder", "message"),
    [(None, "writes text word by word, and the recipe names no decoder"), ({}, "the decoder reads fused states")],
)
def test_a_model_that_writes_no_captions_is_refused(decoder, message):
    small = {"width": 16, "heads": 2, "intermediate": 16, "layers": 1}
    model = {
        "image_encoder": {"part": "patch", "width": 16, "patch": 8, "image_size": 16},
        "text_encoder": {"part": "bert", **small},
        "fusion": {"part": "cross_attention", **small},
        "decoder": None if decoder is None else {"part": "causal", **small},
    }
    recipe = Recipe.model_validate({"model": model, "objectives": {"scst": {}}}, strict=False)
    with pytest.raises(VlzooError, match=message):
        build_system(recipe, vocab=40)


def test_captions_are_lent_by_one_alone(toy):
    batch = toy.batch(2)
    both = toy.system({"lm": LM(), "scst": SCST(length=LENGTH)}, decoder=True, reads="image")
    with pytest.raises(VlzooError, match=r"2 objectives offer 'captions'(.|\n)*lends: false"):
        toy.step(both, batch)
    beside = toy.system({"lm": LM(), "scst": SCST(length=LENGTH, lends=False)}, decoder=True, reads="image")
    beside.objectives["scst"].learn(toy.samples(batch), toy.tokenizer())
    assert beside.offered("captions") is beside.objectives["lm"]
    assert beside(toy.step(beside, batch)).total.item() > 0
    alone = system(toy, batch)
    step = toy.step(alone, batch)
    assert torch.equal(alone.offered("captions").memory(step).x, step.image().x)
