"""Rows `mixed`: hand-worked mixed sentences, what room patches have, and the same ones whoever makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vlzoo.augment.plain import Plain
from vlzoo.data import mixed as mixed_module
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.features import Features
from vlzoo.data.loader import Order, endless
from vlzoo.data.mixed import Mixed
from vlzoo.data.records import Sample
from vlzoo.data.visit import Visit
from vlzoo.data_parts import Mixer, Swap
from vlzoo.draws import IGNORED
from vlzoo.errors import UnknownName, VlzooError
from vlzoo.text.masking import Pieces
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "square", "left", "of", "##s", "ring", "two"]
WIDTH = 3


class Squares(Mixer):
    """Every `square` and `ring` gives way to patches whose first number tells them apart.

    Args:
        each: how many patches a word has.
    """

    width = WIDTH

    def __init__(self, *, each: int = 2):
        self.each = each

    def mix(self, text, rng):
        begun, found = 0, []
        for word in text.split():
            start, begun = begun, begun + len(word) + 1
            if word.startswith(("square", "ring")):
                drawn = rng.random(self.each).astype(np.float32)
                boxes = np.tile(np.float32([0, 0, 0.5, 1]), (self.each, 1))
                found.append(Swap(start, start + len(word), Features(np.stack([drawn] * WIDTH, 1), boxes)))
        return found


class Registry:
    """Knows the mixer of this test."""

    def build(self, kind, name, **options):
        assert (kind, name) == ("mixer", "squares")
        return Squares(**options)


@pytest.fixture
def make(monkeypatch):
    """The batch of some sentences: `make(["a red square"], each=2)`."""
    monkeypatch.setattr(mixed_module, "registry", Registry)

    def batch(sentences, *, sep=True, max_length=20, each=2, maskings=None, **options):
        rows = Mixed(mixer={"part": "squares", "each": each}, **options)
        tokenizer = Tokenizer(WORDS, sep=sep, max_length=max_length)
        items = [rows.make(Sample(str(n), texts=(text,)), Visit(n, epoch=0)) for n, text in enumerate(sentences)]
        return Collator(tokenizer, rows, maskings=maskings or {})(items)

    return batch


def ids(*words):
    return [WORDS.index(word) for word in words]


def test_a_mixed_sentence_by_hand(make):
    """`two` squares of two pieces each; the words keep their order and, with a gap, their places."""
    batch = make(["two squares left of a ring"])
    text, mixed, patches = batch.texts["text"], batch.texts["mixed"], batch.images["patches"]
    assert text.ids[0].tolist() == ids("[CLS]", "two", "square", "##s", "left", "of", "a", "ring", "[SEP]")
    assert mixed.ids[0].tolist() == ids("[CLS]", "two", "left", "of", "a", "[SEP]")
    assert mixed.positions[0].tolist() == [0, 1, 4, 5, 6, 8]
    assert mixed.word[0].tolist() == [-1, 0, 2, 3, 4, -1]
    assert mixed.special[0].tolist() == [True, False, False, False, False, True]
    assert patches["features"].shape == (1, 4, WIDTH) and bool(patches["mask"].all())
    assert batch.extra["patch_label"][0].tolist() == ids("square", "square", "ring", "ring")
    assert batch.extra["patch_share"][0].tolist() == [0.5, 0.5, 0.5, 0.5]
    assert "places" not in patches


def test_positions_may_count_in_the_mixed_row(make):
    batch = make(["two squares left of a ring"], positions="row", patch_places=True)
    # [CLS] two P P left of a P P [SEP]
    assert batch.texts["mixed"].positions[0].tolist() == [0, 1, 4, 5, 6, 9]
    assert batch.images["patches"]["places"][0].tolist() == [2, 3, 7, 8]
    in_sentence = make(["two squares left of a ring"], patch_places=True)
    assert in_sentence.images["patches"]["places"][0].tolist() == [2, 2, 7, 7]


def test_a_sentence_without_a_concept_stays_as_it_is(make):
    batch = make(["a red", "a red square"])
    text, mixed = batch.texts["text"], batch.texts["mixed"]
    assert mixed.ids[0].tolist() == ids("[CLS]", "a", "red", "[SEP]") == text.ids[0][:4].tolist()
    assert not batch.images["patches"]["mask"][0].any() and batch.extra["patch_share"][0].sum() == 0
    assert (batch.extra["patch_label"][0] == IGNORED).all()
    alone = make(["a red"])
    assert alone.images["patches"]["features"].shape == (1, 1, WIDTH)  # a place that nobody reads


def test_patches_share_the_room_that_words_leave(make):
    """Nine tokens at most: five words with [CLS] and [SEP] leave four places for two words."""
    batch = make(["a square a ring a"], each=15, max_length=9)
    assert batch.texts["mixed"].ids[0].tolist() == ids("[CLS]", "a", "a", "a", "[SEP]")
    assert batch.extra["patch_label"][0].tolist() == ids("square", "square", "ring", "ring")
    odd = make(["a square a ring a"], each=15, max_length=10)
    assert odd.extra["patch_label"][0].tolist() == ids("square", "square", "square", "ring", "ring")
    torch.testing.assert_close(odd.extra["patch_share"][0], torch.tensor([1 / 3] * 3 + [0.5] * 2))


def test_the_first_patches_drawn_are_those_that_stay(make):
    all_, few = (make(["a square a"], each=15, max_length=room) for room in (30, 8))
    kept = few.images["patches"]["features"][0]
    assert torch.equal(kept, all_.images["patches"]["features"][0][: len(kept)]) and len(kept) == 4


def test_a_word_behind_the_cut_is_gone(make):
    batch = make(["a red a red square"], max_length=6, sep=True)
    assert batch.texts["mixed"].ids[0].tolist() == ids("[CLS]", "a", "red", "a", "red", "[SEP]")
    assert not batch.images["patches"]["mask"].any()


def test_both_sentences_are_masked_apart(make):
    sentences = ["a red square left of a red ring"] * 8
    rule = Pieces(0.5)
    batch = make(sentences, maskings={"masked": ("text", rule), "mixed_masked": ("mixed", rule)})
    one, other = batch.texts["masked"], batch.texts["mixed_masked"]
    assert torch.equal(other.positions, batch.texts["mixed"].positions)
    kept = batch.texts["mixed"].positions[0]
    assert not torch.equal(one.labels[:, kept] != IGNORED, other.labels != IGNORED)
    assert not (other.labels[other.special] != IGNORED).any()


class Sentences:
    """A source of sentences."""

    name, pairing = "sentences", "text"

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return Sample(str(index), texts=(f"a {'red ' * (index % 3)}square left of a ring",))


@pytest.mark.parametrize("workers", [1, 2])
def test_neither_workers_nor_a_resume_change_a_mixed_batch(monkeypatch, workers):
    monkeypatch.setattr(mixed_module, "registry", Registry)
    rows = Mixed(mixer={"part": "squares", "each": 3})
    reader = Reader(Sentences(), Plain(size=16), rows, seed=5)
    collator = Collator(Tokenizer(WORDS, sep=True, max_length=12), rows, maskings={"m": ("mixed", Pieces(0.4))})

    def some(start, workers):
        batches = endless(reader, collator, Order(12, 4, 5, start=start), workers=workers)
        taken = [next(batches) for _ in range(6 - start)]
        batches.close()
        return taken

    alone = some(0, 0)
    for start, made in ((0, some(0, workers)), (2, some(2, workers))):
        for one, other in zip(alone[start:], made, strict=True):
            assert torch.equal(one.texts["m"].ids, other.texts["m"].ids)
            assert torch.equal(one.images["patches"]["features"], other.images["patches"]["features"])
    first, second = alone[0].images["patches"]["features"], alone[3].images["patches"]["features"]
    assert first.shape != second.shape or not torch.equal(first, second)  # another epoch draws anew


def test_what_is_measured_are_whole_sentences(make, monkeypatch):
    monkeypatch.setattr(mixed_module, "registry", Registry)
    whole = Mixed(mixer="squares", equal_texts="negative").whole()
    assert type(whole).__name__ == "Pairs" and whole.equal_texts == "negative"


def test_options_that_can_not_be(monkeypatch):
    monkeypatch.setattr(mixed_module, "registry", Registry)
    with pytest.raises(UnknownName, match="positions can't be 'rows'"):
        Mixed(mixer="squares", positions="rows")
    with pytest.raises(VlzooError, match="names no mixer"):
        Mixed(mixer={"each": 2})


def test_items_pickle(make, monkeypatch):
    import pickle

    monkeypatch.setattr(mixed_module, "registry", Registry)
    rows = Mixed(mixer="squares")
    item = rows.make(Sample("0", texts=("a square",)), Visit(0, epoch=1))
    again = pickle.loads(pickle.dumps(item))
    assert replace(again, rng=item.rng) == item
    assert again.rng.random() == item.rng.random()
