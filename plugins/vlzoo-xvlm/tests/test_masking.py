"""Spans of whole words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vlzoo_xvlm.masking import Spans
from vlzoo_xvlm.span_mlm import SpanMLM

from vlzoo.data.collate import Collator
from vlzoo.draws import IGNORED, Draws
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED, Plan
from vlzoo.text.masking import Drawing
from vlzoo.text.tokenizer import Tokenizer

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "red",
    "blue",
    "ball",
    "cat",
    "dog",
    "play",
    "tree",
    "on",
    "the",
    "##s",
    "##ing",
]
TOKENIZER = Tokenizer(WORDS, max_length=40)


def drawing(rows, name="", step=0):
    return Drawing(Draws(step=step), torch.arange(rows), name, TOKENIZER.vocab, TOKENIZER.special["mask"])


def text_of(*texts, tokenizer=TOKENIZER):
    return Collator(tokenizer, maskings={MASKED: ("text", Spans())}).tokenise(texts)


def plain(count):
    """A text of [CLS] and words of one piece."""
    return [-1, *range(count)]


@pytest.mark.parametrize(
    ("tokens", "wanted"), [(1, 0), (2, 1), (3, 1), (6, 2), (10, 2), (12, 3), (14, 4), (29, 7), (32, 8), (100, 8)]
)
def test_a_quarter_of_the_tokens_at_most_eight(tokens, wanted):
    """[CLS] counted and halves to the even number, as Python rounds: 2.5 of 10 are 2, 3.5 of 14 are 4."""
    found = Spans().places(plain(tokens - 1), np.random.default_rng(0))
    assert len(found) == len(set(found)) == wanted and 0 not in found


def test_whole_words_and_runs():
    """Three words of 1, 3 and 2 pieces: without runs a draw takes a word, and the last is cut where it overshoots."""
    words = [-1, 0, 1, 1, 1, 2, 2]
    rule = Spans(probability=3 / 7, spans=0.0)
    found = {tuple(sorted(rule.places(words, np.random.default_rng(n)))) for n in range(300)}
    assert (2, 3, 4) in found and (1, 5, 6) in found
    alone = Spans(probability=1 / 7, spans=0.0)
    assert {place for n in range(200) for place in alone.places(words, np.random.default_rng(n))} == {1, 2, 3, 4, 5, 6}
    pieces = Spans(probability=2 / 7, spans=1.0, longest=2, whole=False)
    runs = {tuple(sorted(pieces.places(words, np.random.default_rng(n)))) for n in range(300)}
    assert {(n, n + 1) for n in range(1, 6)} <= runs


def test_runs_are_as_long_as_said():
    """With runs of 2 to 3 always, and room for three: runs next to each other, and at the end shorter ones."""
    rule = Spans(probability=3 / 13, spans=1.0, longest=3)
    found = [sorted(rule.places(plain(12), np.random.default_rng(n))) for n in range(400)]
    whole = sum(places[2] - places[0] == 2 for places in found)
    assert whole > 150 and all(len(places) == 3 for places in found)


@given(st.lists(st.integers(0, 2), min_size=0, max_size=40), st.integers(0, 99), st.booleans())
@settings(max_examples=80, deadline=None)
def test_what_can_be_drawn(steps, seed, whole):
    """Special tokens (-1) never; no place twice; the number that is wanted, if there are as many."""
    words = [-1]
    for step in steps:  # 0: the same word goes on, 1: a new one, 2: a special token
        words.append(-1 if step == 2 else max(words) + 1 if step == 1 or words[-1] < 0 else words[-1])
    found = Spans(whole=whole).places(words, np.random.default_rng(seed))
    wanted = min(8, max(1, round(len(words) * 0.25)))
    real = sum(word >= 0 for word in words)
    assert all(words[place] >= 0 for place in found) and len(found) == len(set(found)) <= wanted
    assert len(found) == min(wanted, real)


def test_eighty_ten_ten():
    """Of 12,000 masked tokens 80 % become [MASK], 10 % any id of 17, 10 % stay (and one of 17 of the random ones)."""
    text = text_of(*["a red ball on the blue tree the cat plays"] * 4000)
    made = Spans()(text, drawing(4000))
    drawn = made.labels != IGNORED
    count = int(drawn.sum())
    mask = (made.ids[drawn] == TOKENIZER.special["mask"]).float().mean()
    kept = (made.ids[drawn] == text.ids[drawn]).float().mean()
    # Five standard errors of shares of 0.8 and 0.1.
    assert mask == pytest.approx(0.8 + 0.1 / 17, abs=5 * (0.16 / count) ** 0.5)
    assert kept == pytest.approx(0.1 + 0.1 / 17, abs=5 * (0.09 / count) ** 0.5)
    assert torch.equal(made.ids[~drawn], text.ids[~drawn]) and torch.equal(made.labels[drawn], text.ids[drawn])


def test_rows_depend_on_their_keys_alone():
    text = text_of("a red ball on the tree", "a cat", "plays")
    whole = Spans()(text, drawing(3))
    for row in range(3):
        about = replace(drawing(3), key=torch.tensor([row]))
        alone = Spans()(text.gather(torch.tensor([row])), about)
        assert torch.equal(alone.ids[0], whole.ids[row]) and torch.equal(alone.labels[0], whole.labels[row])
    assert not torch.equal(Spans()(text, drawing(3, step=1)).labels, whole.labels)


def test_two_maskings_of_one_text_are_independent():
    text = text_of(*["a red ball on the blue tree the cat"] * 50)
    one, same, other = (Spans()(text, drawing(50, name)) for name in ("one", "one", "other"))
    assert torch.equal(one.labels, same.labels) and not torch.equal(one.labels, other.labels)
    assert torch.equal(Spans().chosen(text, drawing(50, "one")), one.labels != IGNORED)


def test_neither_ends_nor_padding():
    tokenizer = Tokenizer(WORDS, sep=True, max_length=12)
    text = text_of("a", "a red ball on the blue tree", "", tokenizer=tokenizer)
    for step in range(20):
        drawn = Spans(probability=0.9)(text, drawing(3, step=step)).labels != IGNORED
        assert not (drawn & text.special).any() and drawn[0].sum() == 1 and not drawn[2].any()


def test_words_must_be_known():
    with pytest.raises(VlzooError, match="do not say which pieces are one word"):
        Spans()(TOKENIZER(["a cat"]), drawing(1))


def test_the_objective_asks_for_its_rule():
    plan = Plan()
    objective = SpanMLM(most=6)
    objective.plan(plan)
    assert plan.maskings == {MASKED: ("text", Spans(0.25, 6, 0.2, 3, whole=True))}
    assert isinstance(objective, MLM) and SpanMLM(words="pieces").rule == Spans(whole=False)
    MLM(probability=0.25).plan(Plan())
    with pytest.raises(VlzooError, match="masked in two ways"):
        MLM(probability=0.25).plan(plan)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"most": 0}, "most can't be 0"),
        ({"longest": 0}, "longest can't be 0"),
        ({"spans": 1.5}, "spans 1.5 is no chance"),
        ({"probability": 2}, "probability 2 is no share"),
        ({"words": "hole"}, "(?s)words can't be 'hole'.*whole"),
    ],
)
def test_options_that_can_not_be(options, told):
    with pytest.raises((VlzooError, UnknownName), match=told):
        SpanMLM(**options)
