"""Masked words in whole: which pieces are predicted, and what is said where they can't be known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.data.collate import Collator
from vlzoo.draws import IGNORED
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED
from vlzoo.text.masking import WholeWords
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball", "##s", "##let", "-"]


def texts(toy, lines):
    """A batch whose texts say which pieces are one word, as collation gives it where a rule reads that."""
    collator = Collator(Tokenizer(WORDS, sep=True), maskings={"whole": ("text", WholeWords())})
    return replace(toy.batch(len(lines)), texts={"text": collator.tokenise(lines)})


@pytest.mark.parametrize("words", ["pieces", "whole"])
def test_all_pieces_of_a_word_are_masked_together_where_it_is_asked(toy, words):
    batch = texts(toy, ["balllets red balls", "red-balls a balllet", "a ball"] * 20)
    made = toy.system({"mlm": MLM(probability=0.4, words=words)})
    step = toy.step(made, batch)
    drawn, word = step.ids(MASKED).labels != IGNORED, batch.texts["text"].word
    split = 0
    for row in range(len(batch)):
        for number in range(int(word[row].max()) + 1):
            pieces = drawn[row][word[row] == number]
            split += bool(pieces.any()) and not bool(pieces.all())
    assert (split == 0) is (words == "whole") and drawn.any() and not drawn[word < 0].any()
    assert torch.isfinite(made(step).total)


def test_two_that_ask_for_another_rule_are_refused(toy):
    made = toy.system({"one": MLM(words="whole"), "two": MLM()})
    with pytest.raises(VlzooError, match=r"masked in two ways: WholeWords.* and Pieces"):
        toy.plan(made)


def test_mistakes_are_told(toy):
    with pytest.raises(UnknownName, match="words can't be 'wholes'\n  -> did you mean 'whole'"):
        MLM(words="wholes")
    made = toy.system({"mlm": MLM(words="whole")})
    with pytest.raises(VlzooError, match="do not say which pieces are one word\n  -> mask pieces: `words: pieces`"):
        toy.step(made, toy.batch(2))


@pytest.mark.parametrize("probability", [1.5, -0.1])
def test_a_share_that_is_none_is_refused(probability):
    """Before, it trained."""
    with pytest.raises(VlzooError, match="is no share of words"):
        MLM(probability=probability)
