from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.errors import DataError
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.text.vocabulary import build_vocab, read_vocab, write_vocab

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def test_by_count_then_alphabet():
    assert build_vocab(["b a b", "C a d"]) == [*SPECIAL, "a", "b", "c", "d"]
    assert build_vocab(["b a b", "C a d"], min_count=2) == [*SPECIAL, "a", "b"]
    assert build_vocab(["b a b", "c c c"], size=6) == [*SPECIAL, "c"]
    assert build_vocab(["ab"], characters=True) == [*SPECIAL, "a", "b", "##a", "##b", "ab"]


@given(st.lists(st.text("abc .,", max_size=8), max_size=6), st.integers(0, 9))
def test_the_order_of_texts_does_not_matter(texts, seed):
    shuffled = list(texts)
    random.Random(seed).shuffle(shuffled)
    assert build_vocab(texts) == build_vocab(shuffled)


def test_a_built_vocabulary_knows_its_corpus_and_spells_the_rest(tmp_path):
    corpus = ["A red ball, left of two cubes."]
    file = write_vocab(build_vocab(corpus, characters=True), tmp_path / "deep" / "vocab.txt")
    tokenizer = Tokenizer.from_file(file)
    assert tokenizer.special["unk"] not in tokenizer.encode(corpus[0])
    assert tokenizer.tokens(tokenizer.encode("rat")) == ["[CLS]", "r", "##a", "##t"]
    assert [path.name for path in file.parent.iterdir()] == ["vocab.txt"]


def test_mistakes_are_told(tmp_path):
    file = tmp_path / "vocab.txt"
    with pytest.raises(DataError, match="can't be read"):
        read_vocab(file)
    file.write_text("[PAD]\ncat\n")
    with pytest.raises(DataError, match=r"lacks \[UNK\]"):
        read_vocab(file)
    file.write_text("\n".join([*SPECIAL, "cat", "cat"]))
    with pytest.raises(DataError, match=r"vocab.txt:7: the token 'cat' comes twice"):
        read_vocab(file)
    (tmp_path / "taken").touch()
    with pytest.raises(DataError, match="can't be written"):
        write_vocab(SPECIAL, tmp_path / "taken" / "vocab.txt")
