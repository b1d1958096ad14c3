"""Texts with the tokens that a decoder begins and ends with, and their parts."""

from __future__ import annotations

import pytest
import torch

from vlzoo.batch import Text
from vlzoo.draws import Draws
from vlzoo.errors import VlzooError
from vlzoo.text.framing import Beginning, Framed, Prefixed, Rest
from vlzoo.text.masking import Drawing
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "square", "blue"]


def framed(text: Text, start: int = 2, end: int = 3) -> Text:
    drawing = Drawing(Draws(), torch.arange(len(text.ids)), "", vocab=9, mask=4)
    return Framed(start, end)(text, drawing)


def test_a_text_has_the_ids_that_the_tokenizer_gives_it_with_an_end_token():
    texts = ["a red square", "blue", "a a a a"]
    ours, theirs = framed(Tokenizer(WORDS)(texts)), Tokenizer(WORDS, sep=True)(texts)
    for name in ("ids", "mask", "special"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


def test_a_text_that_ends_already_stays_as_it_is():
    text = Tokenizer(WORDS, sep=True)(["a red square", "blue"])
    assert torch.equal(framed(text).ids, text.ids)


def test_a_view_may_begin_with_another_token():
    assert framed(Tokenizer(WORDS)(["blue"]), start=4).ids.tolist() == [[4, 8, 3]]


def test_what_a_text_says_of_its_tokens_goes_on():
    ids, mask = torch.tensor([[2, 5, 6], [2, 8, 0]]), torch.tensor([[True] * 3, [True, True, False]])
    places, kinds = torch.tensor([[0, 7, 9], [0, 4, 0]]), torch.tensor([[0, 1, 1], [0, 1, 0]])
    boxes = torch.rand(2, 3, 4)
    made = framed(Text(ids, mask, ids < 5, positions=places, segments=kinds, boxes=boxes, word=ids))
    assert made.positions.tolist() == [[0, 7, 9, 10], [0, 4, 5, 0]]
    assert made.segments.tolist() == [[0, 1, 1, 1], [0, 1, 1, 0]]
    assert torch.equal(made.boxes[:, :3], boxes) and not made.boxes[:, 3].any()
    assert made.word[:, 3].tolist() == [-1, -1]


def parted(rows: int = 400):
    """Many texts of four words with a drawn prefix, and the two parts of each."""
    text = Tokenizer(WORDS)(["a red square blue"] * rows)
    drawing = Drawing(Draws(3), torch.arange(rows), "parts: ", vocab=9, mask=4)
    whole = Prefixed()(text, drawing)
    return whole, Beginning()(whole, drawing), Rest(2, 3)(whole, drawing)


def test_a_beginning_and_its_rest_are_the_text():
    whole, beginning, rest = parted()
    for row in range(len(whole.ids)):
        begun = beginning.ids[row, beginning.mask[row]].tolist()
        written = rest.ids[row, rest.mask[row]].tolist()
        assert (written[0], written[-1]) == (2, 3)
        assert [*begun, *written[1:-1]] == whole.ids[row].tolist()
        assert len(begun) == whole.prefix[row] and begun[0] == 2


def test_every_length_but_the_whole_is_drawn_as_often_as_another():
    """Four lengths of 400 texts: 100 each, within four standard errors (8.7) of a binomial."""
    whole, _, _ = parted()
    counts = torch.bincount(whole.prefix, minlength=6)
    assert counts[0] == counts[5] == 0
    assert (counts[1:5] - 100).abs().max() <= 35


def test_the_prefix_is_the_rows_own_whatever_the_batch():
    text = Tokenizer(WORDS)(["a red square blue"] * 5)
    whole = Prefixed()(text, Drawing(Draws(3), torch.arange(5), "parts: ", vocab=9, mask=4))
    order = torch.tensor([3, 1])
    some = Prefixed()(text.gather(order), Drawing(Draws(3), order, "parts: ", vocab=9, mask=4))
    assert some.prefix.tolist() == whole.prefix[order].tolist()


def test_an_empty_text_begins_and_ends_at_once():
    text = Tokenizer(WORDS)(["", "a red"])
    drawing = Drawing(Draws(3), torch.arange(2), "", vocab=9, mask=4)
    whole = Prefixed()(text, drawing)
    assert whole.prefix[0] == 1
    rest = Rest(2, 3)(whole, drawing)
    assert rest.ids[0, rest.mask[0]].tolist() == [2, 3]


@pytest.mark.parametrize("rule", [Beginning(), Rest(2, 3)])
def test_texts_without_a_prefix_have_no_parts(rule):
    with pytest.raises(VlzooError, match="these texts have no prefix"):
        rule(Tokenizer(WORDS)(["a"]), Drawing(Draws(), torch.arange(1), "", vocab=9, mask=4))
