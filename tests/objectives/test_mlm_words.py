"""Masked words in whole: which pieces are predicted, and what is said where they can't be known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo.draws import IGNORED
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball", "##s", "##let", "-"]


def texts(toy, lines):
    made = toy.batch(len(lines))
    return replace(made, texts={"text": Tokenizer(WORDS, sep=True)(lines)})


def test_the_tokenizer_says_which_pieces_are_one_word():
    """Written by hand: `ballets` is ball, ##let, ##s, and padding belongs to no word."""
    text = Tokenizer(WORDS, sep=True)(["red balllets", "a"])
    assert text.ids.tolist() == [[2, 6, 7, 9, 8, 3], [2, 5, 3, 0, 0, 0]]
    assert text.word.tolist() == [[-1, 0, 1, 1, 1, -1], [-1, 0, -1, -1, -1, -1]]


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
    with pytest.raises(VlzooError, match="masked in two ways: WholeWords.* and Pieces"):
        toy.plan(made)


def test_mistakes_are_told(toy):
    with pytest.raises(UnknownName, match="words can't be 'wholes'\n  -> did you mean 'whole'"):
        MLM(words="wholes")
    made = toy.system({"mlm": MLM(words="whole")})
    with pytest.raises(VlzooError, match="do not say which pieces are one word\n  -> mask pieces: `words: pieces`"):
        toy.step(made, toy.batch(2))
