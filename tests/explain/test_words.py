"""Words and the rows of their pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.errors import VlzooError
from vlzoo.explain.words import Word, shared_words, split_pieces, words_cut, words_of
from vlzoo.text.tokenizer import Tokenizer

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "skate", "##board", "##s", "on"]


def test_pieces_belong_to_their_word():
    """Rows count from [CLS] at 0; a word that is not in the vocabulary keeps its own spelling."""
    words = words_of(Tokenizer(VOCAB), "a skateboards zzz")
    assert words == [
        Word("[CLS]", (0,), ("[CLS]",)),
        Word("a", (1,), ("a",)),
        Word("skateboards", (2, 3, 4), ("skate", "##board", "##s")),
        Word("zzz", (5,), ("[UNK]",)),
    ]
    assert [w.text for w in split_pieces(words)] == ["[CLS]", "a", "skate", "##board", "##s", "[UNK]"]


@pytest.mark.parametrize(("sep", "kept", "cut"), [(False, (2, 3, 4), 1), (True, (2, 3), 2)])
def test_what_the_tokenizer_cuts(sep, kept, cut):
    """Five places are [CLS] and four pieces, or three and [SEP]; a word cut in two counts as cut."""
    tokenizer = Tokenizer(VOCAB, max_length=5, sep=sep)
    words = words_of(tokenizer, "a skateboards cat")
    assert words[-1].rows == kept
    assert words_cut(tokenizer, "a skateboards cat", words) == cut


@given(st.lists(st.sampled_from(["a", "cat", "skateboards", "cats", "zzz", "a!b"]), min_size=1), st.booleans())
def test_rows_are_the_tokenizers_own(texts, sep):
    """Side by side the pieces are what the tokenizer makes of the whole caption."""
    tokenizer = Tokenizer(VOCAB, max_length=9, sep=sep)
    words = words_of(tokenizer, " ".join(texts))
    rows = [row for word in words for row in word.rows]
    pieces = [piece for word in words for piece in word.pieces]
    whole = tokenizer.tokens(tokenizer.encode(" ".join(texts)))
    assert rows == list(range(len(rows)))
    assert pieces == (whole[:-1] if sep else whole)


def test_a_caption_without_words():
    """Says what to write."""
    with pytest.raises(VlzooError, match="no word"):
        words_of(Tokenizer(VOCAB), "")


def test_two_models_words():
    """The words both kept; another spelling is refused."""
    short, whole = (words_of(Tokenizer(VOCAB, max_length=n), "a cat on a cat") for n in (3, 9))
    assert [w.text for w in shared_words([whole, short])] == ["[CLS]", "a", "cat"]
    with pytest.raises(VlzooError, match="'cat' and 'on' at word 1"):
        shared_words([words_of(Tokenizer(VOCAB), "cat"), words_of(Tokenizer(VOCAB), "on")])
