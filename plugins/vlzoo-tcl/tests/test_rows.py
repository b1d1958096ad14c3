"""Rows with two looks at each picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from vlzoo_tcl.rows import TwoViews

from vlzoo.augment.plain import Plain
from vlzoo.augment.weak import Weak
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.pairs import Pairs
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.step.plan import Plan
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball", "left"]


@dataclass(frozen=True)
class Picture:
    """A picture of noise."""

    seed: int
    name: str = "memory"

    def open(self):
        return Image.fromarray(np.random.default_rng(self.seed).integers(0, 255, (24, 24, 3), dtype=np.uint8))


SOURCE = [
    Sample("one", (Picture(0),), ("a red ball", "ball"), image_id="1"),
    Sample("two", (Picture(1),), ("a ball left",), image_id="2"),
]


def batch(rows, source=SOURCE, augmentation=None, *, epoch=0):
    reader = Reader(source, augmentation or Weak(size=16, randaugment=False), rows=rows)
    items = [reader[epoch, index] for index in range(len(source))]
    return Collator(Tokenizer(WORDS, max_length=6), rows)(items)


def test_two_looks_and_one_text():
    """The first look, the text and all else are those of `pairs`; the second look is another crop."""
    found, plain = batch(TwoViews()), batch(Pairs())
    assert list(found.images) == ["image", "second_image"]
    assert torch.equal(found.images["image"], plain.images["image"])
    assert found.images["second_image"].shape == found.images["image"].shape
    assert all(not torch.equal(*pair) for pair in zip(*found.images.values(), strict=True))
    assert torch.equal(found.texts["text"].ids, plain.texts["text"].ids)
    assert torch.equal(found.key, plain.key) and torch.equal(found.image_id, plain.image_id)


def test_looks_depend_on_seed_epoch_and_sample_alone():
    first, again, later = batch(TwoViews()), batch(TwoViews()), batch(TwoViews(), epoch=1)
    assert all(torch.equal(first.images[name], again.images[name]) for name in first.images)
    assert all(not torch.equal(first.images[name], later.images[name]) for name in first.images)


def test_without_chance_both_looks_are_alike():
    found = batch(TwoViews(), augmentation=Plain(size=16))
    assert torch.equal(found.images["image"], found.images["second_image"])


def test_a_careful_flip_minds_the_words_at_both_looks():
    """The text of the second sample says where the ball is, so neither look is mirrored; a flip that is sure else."""
    careful = Weak(size=16, scale=None, flip=1.0, careful_flip=True, randaugment=False)
    found, plain = batch(TwoViews(), augmentation=careful), batch(TwoViews(), augmentation=Plain(size=16))
    for name in ("image", "second_image"):
        mirrored = plain.images[name][0].flip(-1)
        torch.testing.assert_close(found.images[name][0], mirrored)
        torch.testing.assert_close(found.images[name][1], plain.images[name][1])


def test_the_plan_gives_the_teacher_the_second_look():
    plan = Plan()
    TwoViews().plan(plan, "pair")
    assert (plan.main_image, plan.teacher_image, plan.main_text) == (("image",), ("second_image",), "text")
    TwoViews().plan(plan, "text")
    assert (plan.main_image, plan.teacher_image) == ((), ())


def test_evaluation_sees_a_picture_once():
    whole = TwoViews(equal_texts="negative").whole()
    assert type(whole) is Pairs and whole.equal_texts == "negative"
    assert list(batch(whole).images) == ["image"]


def test_two_pictures_a_row_are_four_looks():
    double = [Sample("both", (Picture(3), Picture(4)), ("a ball",))]
    found, single = batch(TwoViews(), double), batch(Pairs(), double)
    assert list(found.images) == ["image", "image1", "second_image", "second_image1"]
    assert all(torch.equal(found.images[name], single.images[name]) for name in single.images)


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_pictures_must_agree(first):
    mixed = [SOURCE[0], Sample("both", (Picture(3), Picture(4)), ("a ball",))]
    with pytest.raises(DataError, match="samples of one batch have different numbers of pictures"):
        batch(TwoViews(), [mixed[first], mixed[1 - first]])


def test_texts_alone_have_no_look():
    assert batch(TwoViews(), [Sample("word", (), ("ball",))]).images == {}
