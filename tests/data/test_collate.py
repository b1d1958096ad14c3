"""From samples to batches.

Legend: B batch rows, H rows and columns of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

from vlzoo.augment.plain import Plain
from vlzoo.augment.weak import Weak
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.records import Fields, Sample
from vlzoo.errors import DataError
from vlzoo.hashing import number_of
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball", "left", "right", "of"]


@dataclass(frozen=True)
class Picture:
    """A picture of one colour."""

    level: int
    name: str = "memory"

    def open(self):
        return Image.new("RGB", (20, 10), (self.level, 0, 0))


def sample(number: int, *texts: str, images: int = 1) -> Sample:
    pictures = tuple(Picture(10 * number + i) for i in range(images))
    return Sample(f"s{number}", pictures, texts, image_id=f"i{number // 2}")


def reader(source, augmentation=None, seed=0) -> Reader:
    return Reader(source, augmentation or Plain(size=8), seed=seed)


def collator(**options) -> Collator:
    return Collator(Tokenizer(WORDS, max_length=6), **options)


def test_a_batch_of_pictures_and_texts():
    source = [sample(0, "A red, ball!"), sample(1, "ball"), sample(2, "")]
    items = [reader(source)[0, row] for row in range(3)]
    batch = collator()(items)
    # [CLS] a red ball / [CLS] ball / [CLS]: cleaned as the official captions, padded with 0.
    assert batch.texts["text"].ids.tolist() == [[2, 5, 6, 7], [2, 7, 0, 0], [2, 0, 0, 0]]
    assert batch.key.tolist() == [0, 1, 2]
    assert list(batch.names) == ["s0", "s1", "s2"]
    # The first two show one picture, i0; the third is i1.
    assert batch.image_id[0] == batch.image_id[1] != batch.image_id[2]
    assert batch.images["image"].shape == (3, 3, 8, 8)
    # (10 / 255 - mean) / std of red, CLIP's constants as in ALBEF.
    expected = (10 / 255 - 0.48145466) / 0.26862954
    torch.testing.assert_close(batch.images["image"][1, 0], torch.full((8, 8), expected))


def test_an_empty_text_in_front_hides_no_other():
    items = [reader([sample(0, ""), sample(1, "ball")])[0, row] for row in (0, 1)]
    assert collator()(items).texts["text"].ids.tolist() == [[2, 0], [2, 7]]


def test_data_without_texts_have_none_and_data_without_pictures_too():
    pictures = collator()([reader([sample(0)])[0, 0]])
    assert pictures.texts == {} and list(pictures.images) == ["image"]
    texts = collator()([reader([sample(0, "ball", images=0)])[0, 0]])
    assert texts.images == {} and list(texts.texts) == ["text"]


def test_two_pictures_are_two_views():
    batch = collator()([reader([sample(3, "ball", images=2)])[0, 0]])
    assert list(batch.images) == ["image", "image1"]
    assert not torch.equal(batch.images["image"], batch.images["image1"])


def test_numbers_of_pictures_must_agree():
    items = [reader([sample(0, "ball"), sample(1, "ball", images=2)])[0, row] for row in (0, 1)]
    with pytest.raises(DataError, match=r"different numbers of pictures: \[1, 2\]"):
        collator()(items)


def test_every_caption_is_seen_and_the_visit_decides():
    source = [sample(0, "a", "red", "ball")]
    seen = [reader(source)[epoch, 0].text for epoch in range(40)]
    assert set(seen) == {"a", "red", "ball"}
    assert seen == [reader(source)[epoch, 0].text for epoch in range(40)]
    assert seen != [reader(source, seed=1)[epoch, 0].text for epoch in range(40)]


def test_augmentation_depends_on_seed_epoch_and_sample_alone():
    levels = np.random.default_rng(0).integers(0, 255, (10, 20, 3), dtype=np.uint8)
    drawn = replace(sample(0, "ball"), images=(Drawn(levels),))
    source = [drawn, drawn]
    weak = Weak(size=8, flip=0.5)
    made = {place: reader(source, weak)[place].levels[0] for place in [(0, 0), (1, 0), (0, 1)]}
    assert np.array_equal(made[0, 0], reader(source, weak)[0, 0].levels[0])
    assert not np.array_equal(made[0, 0], made[1, 0]) and not np.array_equal(made[0, 0], made[0, 1])


@dataclass(frozen=True)
class Drawn:
    """A picture of given levels."""

    levels: np.ndarray
    name: str = "memory"

    def open(self):
        return Image.fromarray(self.levels)


def test_a_task_adds_its_fields():
    def add(samples, tokenizer):
        texts = {"answer": tokenizer(["red"] * len(samples))}
        return Fields(torch.tensor([1]), texts, {"weight": torch.ones(1)})

    batch = collator(add=add)([reader([sample(0, "ball")])[0, 0]])
    assert sorted(batch.texts) == ["answer", "text"]
    assert batch.labels.tolist() == [1] and batch.extra["weight"].tolist() == [1.0]


def test_numbers_of_names_are_the_same_in_every_process():
    # blake2b of 8 bytes, `printf abc | b2sum -l 64` = d8bb14d833d59559, read little end first, top bit dropped.
    assert number_of("abc") == int.from_bytes(bytes.fromhex("d8bb14d833d59559"), "little") >> 1
