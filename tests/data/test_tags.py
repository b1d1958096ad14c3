"""Rows `tags` and `tag_texts`: a detector's labels as words, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vlzoo.data.collate import Collator
from vlzoo.data.features import Detected, Features
from vlzoo.data.records import Sample
from vlzoo.data.tags import Tags, TagTexts
from vlzoo.data.visit import Visit
from vlzoo.draws import IGNORED
from vlzoo.errors import VlzooError
from vlzoo.step.plan import Plan
from vlzoo.text.masking import WholeWords
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "traffic", "light", "##s", "dog", "see", "a"]


def seen(*labels, scores=None, width=2):
    boxes = np.stack([np.float32([n / 10, 0, n / 10 + 0.1, 1]) for n in range(len(labels))])
    features = np.arange(len(labels) * width, dtype=np.float32).reshape(-1, width)
    return Features(features, boxes, labels, None if scores is None else np.float32(scores))


class Picture:
    """A picture that nobody opens."""

    name = "picture"


def batch(rows, pictures, texts=(), *, max_length=8, maskings=None):
    """One row a picture, with its text where there are texts."""
    samples = [
        Sample(str(n), (Detected(Picture(), held),), (texts[n],) if texts else ()) for n, held in enumerate(pictures)
    ]
    items = [rows.make(sample, Visit(n, epoch=0, input="regions")) for n, sample in enumerate(samples)]
    return Collator(Tokenizer(WORDS, sep=True, max_length=max_length), rows, maskings=maskings or {})(items)


def ids(*words):
    return [WORDS.index(word) for word in words]


def test_tags_stand_beside_their_picture_behind_the_text():
    """`[CLS] see a [SEP]` and, from position 8 on, the tags of the second kind with their [SEP]."""
    made = batch(Tags(), [seen("traffic lights", "cat"), seen("dog")], ["see a", "a"])
    tags = made.texts["tags"]
    assert tags.ids.tolist() == [ids("traffic", "light", "##s", "cat", "[SEP]"), [*ids("dog", "[SEP]"), 0, 0, 0]]
    assert tags.mask.sum(1).tolist() == [5, 2]
    assert tags.positions[0].tolist() == [8, 9, 10, 11, 12]
    assert tags.word.tolist() == [[0, 0, 0, 1, -1], [0, -1, -1, -1, -1]]
    assert bool((tags.segments == 1).all()) and tags.boxes is None
    assert made.texts["text"].segments is None
    assert made.images["image"]["features"].shape == (2, 2, 2)


def test_the_surest_regions_and_the_tags_that_fit():
    held = seen("cat", "dog", "cat", scores=[0.1, 0.9, 0.5])
    made = batch(Tags(regions=2), [held])
    assert made.texts["tags"].ids[0].tolist() == ids("dog", "cat", "[SEP]")
    assert made.images["image"]["features"][0, 0].tolist() == [2.0, 3.0]
    short = batch(Tags(pieces=3), [seen("cat", "traffic light", "dog")])
    assert short.texts["tags"].ids[0].tolist() == ids("cat", "[SEP]")  # none is cut in two
    once = batch(Tags(repeats=False), [seen("cat", "cat", "dog")])
    assert once.texts["tags"].ids[0].tolist() == ids("cat", "dog", "[SEP]")


def test_tags_with_the_boxes_of_their_regions():
    made = batch(Tags(boxes=True), [seen("cat", "traffic light")])
    expected = [[0, 0, 0.1, 1], [0.1, 0, 0.2, 1], [0.1, 0, 0.2, 1], [0, 0, 0, 0]]
    torch.testing.assert_close(made.texts["tags"].boxes[0], torch.tensor(expected))


def test_tags_as_the_text_of_a_picture():
    made = batch(TagTexts(), [seen("traffic light", "cat")], ["see a cat"])
    tags = made.texts["tags"]
    assert tags.ids[0].tolist() == ids("[CLS]", "traffic", "light", "cat", "[SEP]")
    assert tags.positions[0].tolist() == [0, 1, 2, 3, 4] and set(made.texts) == {"tags"}
    plan = Plan()
    TagTexts().plan(plan, "image")
    assert (plan.main_image, plan.main_text) == (("image",), "tags")
    assert TagTexts().sides("image") == {"image", "text"}


def test_a_tag_is_masked_whole():
    pictures = [seen("traffic lights", "cat", "dog", "traffic light")] * 40
    made = batch(TagTexts(), pictures, maskings={"m": ("tags", WholeWords(0.5))}).texts["m"]
    chosen = made.labels != IGNORED
    for tag in range(4):
        own = made.word == tag
        assert ((chosen & own).any(1) == (chosen | ~own).all(1)).all()
    assert 0.3 < chosen[made.word >= 0].float().mean() < 0.7
    assert not chosen[made.special].any()


def test_a_text_alone_has_no_tags_and_a_picture_alone_no_text():
    rows = Tags()
    collator = Collator(Tokenizer(WORDS, sep=True, max_length=8), rows)
    text = collator([rows.make(Sample("0", texts=("see a",)), Visit(0, input="regions"))])
    assert set(text.texts) == {"text"} and not text.images
    assert set(batch(rows, [seen("cat")]).texts) == {"tags"}


def test_the_second_picture_has_tags_of_its_own():
    rows = Tags()
    images = tuple(Detected(Picture(), seen(label)) for label in ("cat", "dog"))
    made = Collator(Tokenizer(WORDS, sep=True, max_length=8), rows)(
        [rows.make(Sample("0", images, ("see a",)), Visit(0, epoch=0, input="regions"))]
    )
    assert made.texts["tags1"].ids[0].tolist() == ids("dog", "[SEP]")


def test_a_vocabulary_has_the_labels():
    sample = Sample("0", (Detected(Picture(), seen("traffic light")),), ("see a",))
    assert tuple(Tags().texts(sample)) == ("see a", "traffic light")
    assert tuple(TagTexts().texts(sample)) == ("traffic light",)


def test_pixels_have_no_tags():
    rows = Tags()
    item = rows.make(Sample("0", texts=("a",)), Visit(0))
    item.levels.append(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(VlzooError, match="these pictures are pixels"):
        rows.text([item.levels[0]], Collator(Tokenizer(WORDS, max_length=8), rows))
    with pytest.raises(VlzooError, match="leave nothing"):
        Tags(pieces=0)
