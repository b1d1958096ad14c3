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
from vlzoo.batch import View
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.features import FeatureRef, Features
from vlzoo.data.pairs import Pairs
from vlzoo.data.records import Fields, Sample
from vlzoo.data_parts import Augmentation
from vlzoo.draws import IGNORED, Draws
from vlzoo.errors import DataError, UnknownName, VlzooError
from vlzoo.hashing import number_of
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.text.masking import WholeWords
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


def test_texts_that_are_not_cleaned_stay_as_they_are():
    items = [reader([sample(0, "a red, ball")])[0, 0]]
    # The comma is a word of its own that nobody knows.
    assert collator(cleans=False, max_words=1)(items).texts["text"].ids.tolist() == [[2, 5, 6, 1, 7]]


@pytest.mark.parametrize(("cleans", "cut", "whole"), [(True, "a", "a red ball"), (False, "A red, ball", "A red, ball")])
def test_a_text_is_cleaned_alike_whether_it_is_cut_or_not(cleans, cut, whole):
    made = collator(cleans=cleans, max_words=1)
    assert (made.clean("A red, ball"), made.clean("A red, ball", cut=False)) == (cut, whole)
    long = "ball " * 20_000
    assert made.clean(long, cut=False).split() == long.split()


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


class Counting(Augmentation):
    """Writes behind each text how often it was changed."""

    size = 8

    def text(self, text, rng):
        return f"{text} red"


def test_a_text_is_augmented_once_whatever_the_number_of_pictures():
    """Also one that is alone: an augmentation of texts is not for pairs only."""
    for pictures in (0, 1, 2):
        item = reader([sample(0, "ball", images=pictures)], Counting())[0, 0]
        assert item.text == "ball red" and len(item.levels) == pictures


def test_of_data_without_texts_none_is_augmented():
    assert reader([sample(0)], Counting())[0, 0].text == ""


def test_rows_that_say_the_same_are_alike_unless_an_option_says_so():
    source = [sample(0, "A ball!"), sample(2, "a ball"), sample(4, "red")]
    items = [reader(source)[0, row] for row in range(3)]
    ids = collator()(items).text_id
    assert ids[0] == ids[1] != ids[2]  # as they are read: cleaned
    assert ids[0] == number_of("a ball")
    assert collator(rows=Pairs(equal_texts="negative"))(items).text_id is None
    with pytest.raises(UnknownName, match="did you mean 'negative'"):
        Pairs(equal_texts="negativ")


def test_a_prompt_stands_before_every_text_and_is_its_prefix():
    source, rows = [sample(0, "A red ball"), sample(1, "")], Pairs(prompt="left of")
    read = Reader(source, Plain(size=8), rows=rows)
    batch = collator(rows=rows)([read[0, row] for row in range(2)])
    text, plain = batch.texts["text"], Tokenizer(WORDS, max_length=6)(["left of a red ball", "left of"])
    assert torch.equal(text.ids, plain.ids) and torch.equal(text.mask, plain.mask)
    assert text.prefix.tolist() == [3, 3]
    signs = Pairs(prompt="Left of:")  # cleaned as captions are, those behind it and those that are asked for by it
    assert torch.equal(collator(rows=signs)([read[0, row] for row in range(2)]).texts["text"].ids, plain.ids)
    assert list(rows.texts(source[0])) == ["A red ball", "left of"]
    without = collator()([reader(source)[0, row] for row in range(2)])
    assert without.texts["text"].prefix is None and torch.equal(batch.text_id, without.text_id)
    long = Pairs(prompt="left of a red ball")
    with pytest.raises(DataError, match="'left of a red ball' leaves nothing of texts of 6 tokens"):
        collator(rows=long)([read[0, 0]])


def test_words_are_masked_as_a_step_masks_them(toy):
    """Bit for bit: the worker's batch of number n, and a step of number n on a batch that comes without."""
    made = toy.system({"mlm": MLM(probability=0.4)})
    plan = toy.plan(made)
    plan.mask_text(0.5, view="other")
    words = Tokenizer([*WORDS, *(f"w{n}" for n in range(toy.VOCAB - len(WORDS)))], max_length=9)
    source = [sample(n, "a red ball left of a red ball") for n in range(5)]
    items = [reader(source)[0, row] for row in range(5)]
    for number, stream in ((0, ""), (3, ""), (3, "pairs")):
        kept = Collator(words, maskings=plan.maskings, seed=7, stream=stream)(items, number)
        draws = Draws(7, number, stream=stream)
        without = Step(Collator(words)(items), made.model, plan=plan, draws=draws).texts
        assert sorted(kept.texts) == sorted(without) == ["masked", "other", "text"]
        for view, text in kept.texts.items():
            assert torch.equal(text.ids, without[view].ids)
        assert torch.equal(kept.texts["masked"].labels, without["masked"].labels)
        assert (kept.texts["masked"].labels != IGNORED).any()
        # The step takes what is there.
        assert Step(kept, made.model, plan=plan, draws=Draws(8)).texts["masked"] is kept.texts["masked"]


def test_masking_words_of_texts_that_are_not_there_is_refused():
    plan = Plan()
    plan.mask_text(0.4)
    with pytest.raises(DataError, match=r"stream photos, s0: words of the text 'text' are to be masked"):
        collator(maskings=plan.maskings, stream="photos")([reader([sample(0)])[0, 0]])


def test_whole_words_are_masked_by_their_pieces():
    plan = Plan()
    plan.mask_text(how=WholeWords(0.5))
    words = [*WORDS[:5], "ba", "##ll", "red"]
    made = Collator(Tokenizer(words, max_length=9), maskings=plan.maskings)
    items = [reader([sample(0, "ball red ball")] * 40)[0, row] for row in range(40)]
    batch = made(items)
    assert batch.texts["text"].word[0].tolist() == [-1, 0, 0, 1, 2, 2]
    labels = batch.texts["masked"].labels != IGNORED
    assert torch.equal(labels[:, 1], labels[:, 2]) and torch.equal(labels[:, 4], labels[:, 5])
    assert 0 < labels[:, 1].sum() < 40


@dataclass(frozen=True)
class Seen(FeatureRef):
    """A picture of which only regions are known."""

    regions: int
    name: str = "memory"

    def open(self):
        raise AssertionError("its pixels are not asked for")

    def features(self):
        values = np.full((self.regions, 3), self.regions, np.float32)
        return Features(values, np.full((self.regions, 4), 0.5, np.float32))


def test_region_features_are_padded_and_their_pictures_stay_closed():
    source = [replace(sample(n, "ball"), images=(Seen(n + 1),)) for n in range(2)]
    made = Reader(source, Counting(), input="regions")
    batch = collator()([made[0, 0], made[0, 1]])
    held = batch.images["image"]
    assert held["features"].tolist() == [[[1] * 3, [0] * 3], [[2] * 3, [2] * 3]]
    assert held["mask"].tolist() == [[True, False], [True, True]] and held["boxes"].shape == (2, 2, 4)
    assert made[0, 0].text == "ball red"
    with pytest.raises(VlzooError, match="this data gives pictures alone"):
        Reader([sample(0, "ball")], Counting(), input="regions")[0, 0]


def test_everything_moves_with_a_batch():
    """To the meta device, where no GPU is: region features, views and texts too."""
    source = [replace(sample(0, "ball"), images=(Seen(2),))]
    batch = collator()([Reader(source, Counting(), input="regions")[0, 0]])
    there = replace(batch, views={"part": View(cells=torch.ones(1, 2, dtype=torch.bool))}).to("meta")
    tensors = [*there.images["image"].values(), there.texts["text"].ids, there.views["part"].cells, there.text_id]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


class Mirrored(Augmentation):
    """Changes every text with the picture."""

    size = 8

    def text(self, text, rng):
        return text.replace("left", "right")


def test_references_ride_along_where_they_are_asked_for_and_change_with_the_picture():
    source = [sample(0, "ball left", "A left ball.", "a ball"), sample(1, "ball"), sample(2)]
    rows = Pairs(references=True)
    found = [Reader(source, Mirrored(), each, seed=4) for each in (rows, Pairs())]
    asked, plain = (collator(rows=each.rows)([each[1, row] for row in range(3)]) for each in found)
    # All texts of each sample, as they stand but for the flip: neither cleaned nor cut.
    assert list(asked.references) == [("ball right", "A right ball.", "a ball"), ("ball",), ()]
    assert torch.equal(asked.texts["text"].ids, plain.texts["text"].ids)  # the same text is drawn
    assert collator()([reader(source)[0, 0]]).references == ()
    assert asked.to("cpu").references == asked.references


def test_references_leave_the_draws_of_an_augmentation_as_they_were():
    class Drawing(Mirrored):
        def text(self, text, rng):
            return f"{text} {'ball' if rng.random() < 0.5 else 'red'}"

    source = [replace(sample(row, "a", "of"), answers=("left",)) for row in range(20)]
    for row in range(20):
        one, other = (Reader(source, Drawing(), each, seed=2)[0, row] for each in (Pairs(), Pairs(references=True)))
        assert one.text == other.text and len(other.references) == 2
