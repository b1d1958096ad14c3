"""Rows of regions: literal arithmetic on pictures of 64 pixels, cells of 16, so that four make a side."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from vlzoo_xvlm.around_box import AroundBox
from vlzoo_xvlm.masking import Spans
from vlzoo_xvlm.rows import Regions, places

from vlzoo.augment.plain import Plain
from vlzoo.data.collate import Collator, Reader
from vlzoo.data.loader import Order, endless
from vlzoo.data.pairs import Pairs
from vlzoo.data.records import Region, Sample
from vlzoo.data.visit import Visit
from vlzoo.data_parts import Augmentation
from vlzoo.draws import IGNORED
from vlzoo.errors import DataError, UnknownName, VlzooError
from vlzoo.hashing import number_of
from vlzoo.step.plan import Plan
from vlzoo.text.masking import WholeWords
from vlzoo.text.tokenizer import Tokenizer

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a red blue ball cat dog left tree on the ##s".split()  # noqa: SIM905


@dataclass(frozen=True)
class Picture:
    """A picture of noise."""

    seed: int
    size: tuple[int, int] = (64, 64)
    name: str = "memory"

    def open(self):
        width, height = self.size
        return Image.fromarray(np.random.default_rng(self.seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


BALL = Region((16, 0, 16, 16), "ball", attributes=("red",))
CAT = Region((20, 0, 20, 16), "a cat", "phrase")
TREE = Region((0, 32, 64, 32), "tree", others=("the tree",))
BOTH = Sample("both", (Picture(0),), ("a ball on the tree",), "one", (BALL, CAT, TREE))
BARE = Sample("bare", (Picture(1),), ("a dog",), "two")
BOXED = Sample("boxed", (Picture(2),), (), "three", (BALL, TREE))
SILENT = Sample("silent", (Picture(3),), (), "four", (Region((100, 0, 5, 5), "cat"), Region((0, 0, 9, 9), "")))


def items_of(samples, rows, augmentation=None, *, epoch=0, seed=0):
    reader = Reader(samples, augmentation or Plain(size=64), rows=rows, seed=seed)
    return [reader[epoch, index] for index in range(len(samples))]


def batch_of(samples, rows, augmentation=None, *, maskings=None, **when):
    collator = Collator(Tokenizer(WORDS, max_length=9), rows, maskings=maskings or {})
    return collator(items_of(samples, rows, augmentation, **when))


def said(batch):
    tokenizer = Tokenizer(WORDS)
    return [tokenizer.decode(ids.tolist()) for ids in batch.texts["text"].ids]


def by_name(batch):
    """Facts of each row by its name; no row is repeated."""
    assert len(set(batch.names)) == len(batch)
    facts = zip(
        said(batch),
        batch.views["region"].cells.tolist(),
        batch.extra["box"].tolist(),
        batch.extra["is_region"].tolist(),
        strict=True,
    )
    return dict(zip(batch.names, facts, strict=True))


def grid(*rows):
    return [char == "x" for row in rows for char in row]


def test_a_picture_with_its_caption_and_three_regions():
    """The ball is 16 wide at x 16: the second cell of the first row. The cat spans 20 to 40: cells 2 and 3."""
    batch = batch_of([BOTH], Regions(rows=4))
    found = by_name(batch)
    assert found["both"] == ("a ball on the tree", [True] * 16, [0.5, 0.5, 1, 1], False)
    assert found["both region 1"] == ("red ball", grid(".x..", *["...."] * 3), [0.375, 0.125, 0.25, 0.25], True)
    assert found["both region 2"] == ("a cat", grid(".xx.", *["...."] * 3), [0.46875, 0.125, 0.3125, 0.25], True)
    text, *rest = found["both region 3"]
    assert text in ("tree", "the tree") and rest == [grid("....", "....", "xxxx", "xxxx"), [0.5, 0.75, 1, 0.5], True]
    assert batch.images["image"].shape == (1, 3, 64, 64) and batch.extra["box"].dtype == torch.float32
    assert batch.views["region"].rows.tolist() == batch.views["whole"].rows.tolist() == [0] * 4
    assert batch.views["whole"].cells is None and batch.texts["text"].ids.shape[0] == 4


def test_what_a_stream_reads():
    plan = Plan()
    Regions().plan(plan, "region")
    assert (plan.main_image, plan.teacher_image, plan.main_text) == (("region",), None, "text")


def test_ids_tell_pictures_boxes_and_words():
    """A whole picture has the number that `pairs` gives it; the box of the ball has one in each of two pictures."""
    rows = Regions(rows=7)
    batch = batch_of([BOTH, BARE, BOXED], rows)
    image = dict(zip(batch.names, batch.image_id.tolist(), strict=True))
    assert image["both"] == number_of("one") and image["bare"] == number_of("two")
    assert image["both region 1"] == number_of("one (16, 0, 16, 16)") and len(set(image.values())) == 7
    text = dict(zip(batch.names, batch.text_id.tolist(), strict=True))
    assert text["both region 1"] == text["boxed region 1"] == number_of("red ball")
    assert len(set(batch.key.tolist())) == 7
    assert batch_of([BOTH], Regions(rows=4, equal_texts="negative")).text_id is None


@pytest.mark.parametrize(("rows", "counts"), [(4, [1, 1, 1, 1]), (6, [1, 1, 2, 2]), (10, [2, 2, 3, 3]), (2, [1, 1])])
def test_too_few_rows_are_repeated(rows, counts):
    """With keys of their own; a row and its repeat show and say the same, and are no negatives."""
    batch = batch_of([BOTH], Regions(rows=rows))
    assert sorted(batch.names.count(name) for name in set(batch.names)) == counts
    assert len(set(batch.key.tolist())) == len(batch) == rows
    assert len(set(batch.image_id.tolist())) == len(counts)
    again = batch_of([BOTH], Regions(rows=rows, repeats="negative"))
    assert again.names == batch.names and again.text_id is None
    assert len(set(again.image_id.tolist())) == rows


def test_no_more_than_five_of_a_picture():
    many = replace(BOTH, regions=(BALL, CAT, TREE) * 4)
    items = items_of([many, replace(many, texts=())], Regions())
    assert [len(item.pieces) for item in items] == [5, 5]
    assert items[0].pieces[0].place == 0 and all(piece.place > 0 for piece in items[1].pieces)
    assert len(items_of([many], Regions(each=2))[0].pieces) == 2


def test_pictures_of_which_nothing_is_said_have_no_row():
    """A box outside the picture, and one without a text."""
    batch = batch_of([SILENT, BARE, BOTH], Regions(rows=5))
    assert not any(name.startswith("silent") for name in batch.names)
    assert batch.images["image"].shape[0] == 2
    assert set(batch.views["region"].rows.tolist()) == {0, 1}
    with pytest.raises(DataError, match=r"no picture of this batch has a caption, or a box.*"):
        batch_of([SILENT, SILENT], Regions(rows=5))


def test_no_region_and_one_row():
    batch = batch_of([BARE], Regions(rows=1))
    assert by_name(batch) == {"bare": ("a dog", [True] * 16, [0.5, 0.5, 1, 1], False)}
    assert not batch_of([BARE, replace(BARE, name="other", image_id="o")], Regions(rows=6)).extra["is_region"].any()


def test_samples_are_those_of_the_rows():
    rows, samples = Regions(rows=6), [BOTH, BARE, BOXED]
    items = items_of(samples, rows)
    batch = Collator(Tokenizer(WORDS), rows)(items)
    names = [name.partition(" ")[0] for name in batch.names]
    assert [sample.name for sample in rows.samples(items)] == names


def test_a_vocabulary_is_built_of_all_that_is_said():
    assert list(Regions().texts(BOTH)) == ["a ball on the tree", "red", "ball", "a cat", "tree", "the tree"]


def test_evaluation_sees_whole_samples():
    whole = Regions(equal_texts="negative").whole()
    assert type(whole) is Pairs and whole.equal_texts == "negative"
    assert batch_of([BOTH, BARE], whole).names == ["both", "bare"]


@given(st.permutations(range(4)), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_the_order_of_samples_does_not_matter(order, count):
    rows = Regions(rows=count)
    items = items_of([BOTH, BARE, BOXED, SILENT], rows, AroundBox(size=64))
    collator = Collator(Tokenizer(WORDS, max_length=9), rows)
    one, other = collator(items), collator([items[place] for place in order])
    assert one.names == other.names and torch.equal(one.key, other.key)
    assert torch.equal(one.images["image"], other.images["image"])
    assert torch.equal(one.views["region"].cells, other.views["region"].cells)
    assert torch.equal(one.extra["box"], other.extra["box"])


@given(
    st.lists(st.tuples(*[st.floats(-80, 160)] * 2, *[st.floats(-5, 120)] * 2), max_size=6),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_boxes(boxes, size, seed):
    """Outside, of no area, larger than the picture: shares lie between 0 and 1, and every row reads a cell."""
    odd = Sample("odd", (Picture(0, size),), ("a cat",), "o", tuple(Region(box, "ball") for box in boxes))
    batch = batch_of([odd], Regions(rows=8), AroundBox(size=64), seed=seed)
    centre, extent = batch.extra["box"].split(2, dim=1)
    assert (centre - extent / 2 >= -1e-6).all() and (centre + extent / 2 <= 1 + 1e-6).all() and (extent > 0).all()
    assert batch.views["region"].cells.any(1).all()


def test_visits_differ_and_repeat():
    """Rows depend on seed, epoch and sample: the same ones again, others in the next epoch."""
    samples, rows = [replace(BOTH, regions=(BALL, CAT, TREE) * 4), BARE, BOXED], Regions(rows=5)
    first, again, later = (batch_of(samples, rows, AroundBox(size=64), epoch=epoch) for epoch in (0, 0, 1))
    assert first.names == again.names and torch.equal(first.extra["box"], again.extra["box"])
    assert first.names != later.names or not torch.equal(first.extra["box"], later.extra["box"])
    assert first.names != batch_of(samples, rows, AroundBox(size=64), seed=1).names


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_and_a_resumed_run_give_the_same_rows(workers):
    source = [replace(BOTH, name=f"s{n}", image_id=f"i{n}", images=(Picture(n),)) for n in range(8)]
    rows = Regions(rows=7)
    reader = Reader(source, AroundBox(size=64), rows=rows, seed=3)
    collator = Collator(Tokenizer(WORDS, max_length=9), rows, maskings={"masked": ("text", Spans())}, seed=3)
    alone = list(islice(endless(reader, collator, Order(8, 4, 3)), 4))
    helped = list(islice(endless(reader, collator, Order(8, 4, 3), workers=workers), 4))
    resumed = [None, None, *islice(endless(reader, collator, Order(8, 4, 3, start=2), workers=workers), 2)]
    for one, *others in zip(alone, helped, resumed, strict=True):
        for other in filter(None, others):
            assert one.names == other.names and torch.equal(one.images["image"], other.images["image"])
            assert torch.equal(one.texts["masked"].ids, other.texts["masked"].ids)
            assert torch.equal(one.extra["box"], other.extra["box"]) and torch.equal(one.key, other.key)


def test_two_maskings_of_the_rows():
    """Spans under one name, whole words under another; a row and its repeat are masked each by its own draws."""
    maskings = {"masked": ("text", Spans(probability=0.5)), "more": ("text", WholeWords(0.9))}
    batch = batch_of([BARE, BOTH], Regions(rows=64), maskings=maskings)
    spans, words = batch.texts["masked"], batch.texts["more"]
    assert (spans.labels != IGNORED).any(1).all() and not torch.equal(spans.labels, words.labels)
    for text in (spans, words):
        drawn = text.labels != IGNORED
        assert torch.equal(text.labels[drawn], batch.texts["text"].ids[drawn])
        assert torch.equal(text.ids[~drawn], batch.texts["text"].ids[~drawn])
    caption = [place for place, name in enumerate(batch.names) if name == "both"]
    assert len({tuple(spans.labels[place].tolist()) for place in caption}) > 3


def test_items_pickle():
    item = items_of([BOTH], Regions())[0]
    assert pickle.loads(pickle.dumps(item)).pieces == item.pieces


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"each": 0}, "each can't be 0"),
        ({"rows": True}, "rows can't be True"),
        ({"patch": 1.5}, "patch can't be 1.5"),
        ({"least_inside": 1.0}, "least_inside can't be 1.0"),
        ({"repeats": "negativ"}, "(?s)repeats can't be 'negativ'.*negative"),
        ({"equal_texts": "same"}, "equal_texts can't be 'same'"),
    ],
)
def test_options_that_can_not_be(options, told):
    with pytest.raises((VlzooError, UnknownName), match=told):
        Regions(**options)


def test_pictures_must_fall_into_cells():
    with pytest.raises(VlzooError, match="pictures of 64 pixels do not fall into whole cells of 24"):
        batch_of([BOTH], Regions(patch=24, rows=2))


def test_samples_that_do_not_fit():
    rows = Regions()
    for pictures in ((), (Picture(0), Picture(1))):
        with pytest.raises(DataError, match=f"a sample with {len(pictures)} pictures"):
            rows.make(replace(BOTH, images=pictures), Visit(0))
    with pytest.raises(DataError, match="a detector's regions"):
        rows.make(BOTH, Visit(0, input="regions"))


class Blind(Augmentation):
    def image(self, picture, rng):
        return picture.transpose(Image.Transpose.ROTATE_90)


def test_an_augmentation_must_say_where_boxes_go():
    with pytest.raises(VlzooError, match="Blind does not say where boxes lie"):
        items_of([BOTH], Regions(), Blind())


def test_places():
    rng = np.random.default_rng(0)
    assert sorted(places(3, 3, rng)) == [0, 1, 2] and len(set(places(9, 4, rng))) == 4
    assert places(3, 5, rng)[:3] == [0, 1, 2] and len(set(places(3, 5, rng)[3:])) == 2
    assert places(2, 7, rng) == [0, 1, 0, 1, 0, 1, 0]
