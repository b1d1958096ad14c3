"""Words and the rows of their pieces."""

from __future__ import annotations

from copy import copy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vlzoo.errors import VlzooError
from vlzoo.explain.words import Word, shared_words, split_pieces, words_cut, words_of
from vlzoo.text.cleaning import pre_caption
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
    _agree(Tokenizer(VOCAB, max_length=9, sep=sep), " ".join(texts))


ODD = "\x00\x1c\x1d\x1e\x1f\x85\xa0\xad\u0301\u200b\u200d\u2028\u3000\ufeff\ufffd\ud800\udfff\u6771\u4eacé½…ﬁİ '"
"""Characters that `str.split` and tokenizers part, delete, join or turn into others, each in its own way."""

ANY = st.text(st.one_of(st.sampled_from(ODD), st.sampled_from("acat skateboards "), st.characters()), max_size=40)


@given(ANY, st.sampled_from(["wordpiece", "bpe", "clip", "sentencepiece"]), st.booleans(), st.integers(4, 20))
@example("a\x85skate \x1cboards", "wordpiece", False, 20)
@example("cat\xa0\u200ba [SEP] cat\ud800s", "wordpiece", True, 20)
@example("\u6771\u4eaca cat", "wordpiece", False, 20)
def test_the_words_pieces_are_what_the_model_reads(tokenizers, text, kind, sep, most):
    """Of any text, for every kind of tokenizer, with their rows: what is cut off is counted, nothing is moved."""
    tokenizer = copy(tokenizers[kind])  # all tests share it
    tokenizer.sep, tokenizer.max_length = sep, most
    for each in (text, pre_caption(text, max_words=3)):
        _agree(tokenizer, each)


def _agree(tokenizer, text):
    read = tokenizer.tokens(tokenizer.encode(text))
    read = read[:-1] if tokenizer.sep else read
    if len(read) == 1:
        with pytest.raises(VlzooError, match="no word"):
            words_of(tokenizer, text)
        return
    words = words_of(tokenizer, text)
    assert [row for word in words for row in word.rows] == list(range(len(read)))
    assert [piece for word in words for piece in word.pieces] == read
    whole = words_of(tokenizer, text, 1_000_000)
    assert words_cut(tokenizer, text, words) == sum(word not in words for word in whole)
    for word in words[1:]:
        word.text.encode()  # it can be drawn and printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\x85cat\x1con", ["a\x85cat\x1con"]),  # BERT deletes control characters: one word
        ("cat\x85s on", ["cat\x85s", "on"]),
        ("a\xa0cats\u3000on\u2028a", ["a", "cats", "on", "a"]),  # and takes every kind of space for one
        ("ca\u200bts", ["ca\u200bts"]),
        ("a\u6771\u4eaccat", ["a", "\u6771", "\u4eac", "cat"]),  # each of these characters is a word
        ("a cät\u0301s", ["a", "cät\u0301s"]),  # accents go
        ("cat's", ["cat", "'", "s"]),
        ("cat\ud800s \udfff on", ["cat\ufffds", "on"]),
        ("a [MASK]cat", ["a", "[MASK]", "cat"]),
    ],
)
def test_what_a_word_is_the_tokenizer_says(text, words):
    """By hand, for BERT's WordPiece (`BertNormalizer`, `BertPreTokenizer`)."""
    assert [word.text for word in words_of(Tokenizer(VOCAB), text)] == ["[CLS]", *words]


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
