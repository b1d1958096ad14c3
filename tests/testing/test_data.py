"""Each check of augmentations, rows, detectors, mixers, data and tokenizers refuses a part that breaks it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from vlzoo import Augmentation, Detector, Features, Mixer, Pairs, Sample, Source, Swap, Tokenizer
from vlzoo.data.cards import Card
from vlzoo.data.expected import Expected
from vlzoo.data.images import FileImage
from vlzoo.testing import augmentation, check_augmentation, data, detector, rows
from vlzoo.testing.case import is_described
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.samples import WORDS, Drawn, picture
from vlzoo.text.vocabulary import SPECIAL


class Other:
    """No part of any kind."""


class Same(Augmentation):
    """The picture as it is."""

    size = 24


def augments(doc="Breaks one promise.", **methods):
    return type("Broken", (Same,), {"__doc__": doc, **methods})


def painted(self, shown, texts, rng, boxes=()):
    shown.paste((0, 0, 0), (0, 0, 5, 5))
    return shown, tuple(texts), tuple(boxes)


def drawn(self, shown, texts, rng, boxes=()):
    return shown.rotate(int(np.random.randint(360))), tuple(texts), tuple(boxes)


def painted_alone(self, shown, rng):
    shown.paste((0, 0, 0), (0, 0, 5, 5))
    return shown


def drawn_alone(self, shown, rng):
    return shown.rotate(random.randrange(360))


def as_it_is_alone(self, shown, rng):
    return shown


def as_it_is(self, shown, texts, rng, boxes=()):
    return shown, tuple(texts), tuple(boxes)


def cropped(self, shown, texts, rng, boxes=()):
    return shown.crop((20, 20, shown.width, shown.height)), tuple(texts), tuple(boxes)


def blinds(self, plan):
    plan.main_image = ("dark",)
    plan.add_view("dark", lambda step: replace(step.view("image"), weights=torch.full((4, 4), math.nan)))


def masks_nothing(self, plan):
    plan.mask_text(0.3, of="caption")


AUGMENTATION = [
    (is_described, augments(None), "has no docstring"),
    (augmentation.is_an_augmentation, Other, "which is no Augmentation"),
    (augmentation.is_an_augmentation, augments(size="large"), "has the size 'large'"),
    (
        augmentation.gives_a_picture,
        augments(image=lambda self, shown, rng: shown.crop((0, 0, 10, 10)).convert("L")),
        "gave a picture of mode L, not RGB",
    ),
    (
        augmentation.gives_a_picture,
        augments(image=lambda self, shown, rng: shown.crop((20, 20, shown.width, shown.height))),
        "fails on a picture of 33x20 pixels",
    ),
    (
        augmentation.changes_texts_and_boxes_together,
        augments(pair=lambda self, shown, texts, rng, boxes=(): (shown, texts[:1], boxes)),
        "gave the texts ('a red ball',)",
    ),
    (augmentation.leaves_its_picture_alone, augments(pair=painted), "changes the picture that it is given"),
    (augmentation.draws_by_its_generator, augments(pair=drawn), "gives another picture under the same generator"),
    (augmentation.gives_a_picture, augments(image=as_it_is_alone, pair=cropped), "fails on a picture of 33x20 pixels"),
    (
        augmentation.leaves_its_picture_alone,
        augments(image=painted_alone, pair=as_it_is),
        "changes the picture that it is given",
    ),
    (
        augmentation.draws_by_its_generator,
        augments(image=drawn_alone, pair=as_it_is),
        "gives another picture under the same generator",
    ),
    (augmentation.asks_for_what_can_be_done, augments(plan=masks_nothing), "asks for what a step can't do"),
    (augmentation.asks_for_what_can_be_done, augments(plan=blinds), "asks for what makes the loss itm nan"),
]


@pytest.mark.parametrize(("check", "part", "said"), AUGMENTATION)
def test_a_broken_augmentation_is_refused(refused, check, part, said, monkeypatch):
    if isinstance(part, type) and part.__name__ == "Broken":  # so that it pickles
        monkeypatch.setitem(globals(), "Broken", part)
        part.__qualname__ = "Broken"
    assert said in refused(check, "augmentation", part)


def test_an_augmentation_may_change_the_picture_and_leave_boxes_to_be_refused(monkeypatch):
    part = augments(image=lambda self, shown, rng: shown.rotate(90 * int(rng.integers(4)), expand=True))
    monkeypatch.setitem(globals(), "Broken", part)
    part.__qualname__ = "Broken"
    check_augmentation(part)


def makes(doc="Breaks one promise.", **methods):
    return type("Broken", (Pairs,), {"__doc__": doc, "__module__": __name__, **methods})


def unsendable(self, sample, visit):
    return _WithLambda(Pairs.make(self, sample, visit))


class _WithLambda:
    """An item that no worker can send."""

    def __init__(self, item):
        self.__dict__.update(item.__dict__)
        self.call = lambda: None


def random_text(self, sample, visit):
    return replace(Pairs.make(self, sample, visit), text=random.choice(WORDS))


def emptied(self, sample, visit):
    item = Pairs.make(self, sample, visit)
    sample.fields["seen"] = True
    return item


def no_pairs_of_one(self, items, collator):
    return Pairs.collate(self, items[: len(items) // 2 * 2], collator)


def far_cells(self, items, collator):
    import torch

    from vlzoo import View

    batch = Pairs.collate(self, items, collator)
    return replace(batch, views={"image": View(rows=torch.full((len(items),), 99))})


def two_keys(self, items, collator):
    batch = Pairs.collate(self, items, collator)
    return replace(batch, key=batch.key * 0)


def named(self, plan, pairing):
    plan.main_image = ("region",)


def shuffled(self):
    return Shuffled()


class Shuffled(Pairs):
    """Names rows anew."""

    def collate(self, items, collator):
        batch = super().collate(items, collator)
        return replace(batch, names=[f"{name}-again" for name in batch.names])


ROWS = [
    (is_described, makes(None), "has no docstring"),
    (rows.are_rows, Other, "which is no Rows"),
    (rows.are_rows, makes(__init__=lambda self: setattr(self, "file", lambda: None)), "can't be sent to a data worker"),
    (rows.make_a_batch, makes(collate=two_keys), "give two rows one key"),
    (rows.make_a_batch, makes(plan=named), "name the image view 'region', which their batch has not"),
    (rows.make_the_same_again, makes(make=random_text), "make another batch of the same samples"),
    (rows.make_the_same_again, makes(make=unsendable), "make items that data workers can't send"),
    (rows.leave_their_samples_alone, makes(make=emptied), "change a sample"),
    (rows.bear_one_sample, makes(collate=no_pairs_of_one), "fail on a batch"),
    (rows.are_read_by_a_model, makes(collate=far_cells), "make a batch that a model can't read"),
    (rows.measure_as_they_are, makes(whole=shuffled), "make other rows than samples where they are measured"),
    (rows.share_a_batch, makes(cut=lambda self, share: share), "are cut into a Share"),
]


@pytest.mark.parametrize(("check", "part", "said"), ROWS)
def test_broken_rows_are_refused(refused, check, part, said, monkeypatch):
    if part is not Other:
        monkeypatch.setitem(globals(), "Broken", part)
    assert said in refused(check, "rows", part)


class Whole(Detector):
    """The whole picture, with its mean colour."""

    def detect(self, pictures):
        opened = [each.image.open() for each in pictures]
        found = [self.one(np.asarray(picture, np.float32).mean((0, 1)) / 255) for picture in opened]
        return [replace(each, size=picture.size) for each, picture in zip(found, opened, strict=True)]

    def one(self, colour):
        return Features(colour[None], np.array([[0, 0, 1, 1]], np.float32), ("it",), np.ones(1, np.float32))


class Pixels(Whole):
    """Boxes in pixels."""

    def one(self, colour):
        return replace(super().one(colour), boxes=np.array([[0, 0, 48, 40]], np.float32))


class Double(Whole):
    """Features of float64."""

    def one(self, colour):
        return replace(super().one(colour), features=colour[None].astype(np.float64))


class Relative(Whole):
    """Colours against the mean of all pictures."""

    def detect(self, pictures):
        found = super().detect(pictures)
        mean = np.mean([each.features for each in found], axis=0)
        return [replace(each, features=each.features - mean) for each in found]


class Few(Whole):
    """One result too few."""

    def detect(self, pictures):
        return super().detect(pictures)[1:]


class Flat(Whole):
    """One number a region."""

    def one(self, colour):
        return replace(super().one(colour), features=colour[:1])


class Unnamed(Whole):
    """Regions without a label."""

    def one(self, colour):
        return replace(super().one(colour), labels=())


class Sizeless(Whole):
    """Says no size."""

    def detect(self, pictures):
        return [replace(each, size=None) for each in super().detect(pictures)]


class Resized(Whole):
    """Says the size of what it was given first."""

    def detect(self, pictures):
        found = super().detect(pictures)
        return [replace(each, size=found[0].size) for each in found]


class Unsettled(Whole):
    """Another one each time it is built, by a little."""

    built = count()

    def __init__(self):
        self.drift = np.float32(next(self.built) * 1e-6)

    def one(self, colour):
        return super().one(colour + self.drift)


class Seeded(Whole):
    """Weights drawn by numpy's own generator."""

    def __init__(self):
        self.drift = np.random.rand()

    def one(self, colour):
        return super().one((colour + self.drift).astype(np.float32))


DETECTOR = [
    (is_described, type("Bare", (Whole,), {"__doc__": None}), "has no docstring"),
    (detector.is_a_detector, Other, "which is no Detector"),
    (detector.finds_regions_as_promised, Pixels, "gives boxes beyond the picture of picture-0"),
    (detector.finds_regions_as_promised, Double, "gives features [1, 3] of float64"),
    (detector.finds_regions_as_promised, Few, "gives 2 results for 3 pictures"),
    (detector.finds_regions_as_promised, Flat, "gives features of shapes [[1], [1], [1]]"),
    (detector.finds_regions_as_promised, Unnamed, "gives 0 labels for 1 regions"),
    (detector.finds_regions_as_promised, Sizeless, "says None of a picture of (48, 40)"),
    (detector.finds_regions_as_promised, Resized, "says (48, 40) of a picture of (40, 48)"),
    (detector.finds_the_same_whatever_else_there_is, Seeded, "finds other regions in picture-0 alone"),
    (detector.finds_the_same_whatever_else_there_is, Unsettled, "finds other regions in picture-0 when it is built"),
    (detector.finds_the_same_whatever_else_there_is, Relative, "finds other regions in picture-0 alone than among 3"),
]


@pytest.mark.parametrize(("check", "part", "said"), DETECTOR)
def test_a_broken_detector_is_refused(refused, check, part, said):
    assert said in refused(check, "detector", part)


class Red(Mixer):
    """The word red gives way to a patch."""

    width = 4

    def mix(self, text, rng):
        start = text.find("red")
        return [self.swap(start, rng)] if start >= 0 else []

    def swap(self, start, rng):
        patch = Features(rng.random((1, 4), dtype=np.float32), np.zeros((1, 4), np.float32))
        return Swap(start, start + 3, patch)


class Beyond(Red):
    """Ends behind the sentence."""

    def swap(self, start, rng):
        return replace(super().swap(start, rng), end=500)


class Narrow(Red):
    """Another width than it says."""

    width = 7


class Gambling(Red):
    """Draws by numpy's own generator."""

    def swap(self, start, rng):
        return super().swap(start, np.random.default_rng())


class Unsent(Red):
    """Keeps what no worker can be sent."""

    def __init__(self):
        self.call = lambda: None


MIXER = [
    (is_described, type("Bare", (Red,), {"__doc__": None}), "has no docstring"),
    (detector.is_a_mixer, Unsent, "can't be sent to a data worker"),
    (detector.swaps_words_of_the_sentence, Beyond, "replaces characters 2 to 500"),
    (detector.swaps_words_of_the_sentence, Narrow, "gives patches [1, 4], and its width is 7"),
    (detector.mixes_by_its_generator, Gambling, "otherwise under the same generator"),
]


@pytest.mark.parametrize(("check", "part", "said"), MIXER)
def test_a_broken_mixer_is_refused(refused, check, part, said):
    assert said in refused(check, "mixer", part)


class Folder(Source):
    """Pictures called what they show.

    Args:
        root: the folder.
    """

    splits = ("train",)
    card = Card("folder", "pictures", "CC0")

    def __init__(self, root, **options):
        super().__init__(root, **options)

    def files(self):
        return [Expected(".", "pictures", kind="folder")]

    def records(self, faults):
        yield from sorted(file.name for file in Path(self.root).glob("*.png"))

    def sample(self, row):
        return Sample(row, (FileImage(self.root, row),), (row,), image_id=row)


class Nameless(Folder):
    """One name for all."""

    def sample(self, row):
        return replace(super().sample(row), name="it")


class Silent(Folder):
    """No text."""

    def sample(self, row):
        return replace(super().sample(row), texts=())


class Gone(Folder):
    """Pictures that are not there."""

    def sample(self, row):
        return replace(super().sample(row), images=(FileImage(self.root, "gone.png"),))


class Fat(Folder):
    """Sends megabytes to each worker."""

    def __init__(self, root, **options):
        super().__init__(root, **options)
        self.held = bytes(range(256)) * 1000


class Restless(Folder):
    """Another fingerprint each time."""

    def fingerprint(self):
        return str(random.random())


class Unlicensed(Folder):
    """Nobody's."""

    card = Card("folder", "pictures", "")


@dataclass
class Empty(Drawn):
    """No samples."""

    count: int = 0


SOURCE = [
    (is_described, type("Bare", (Folder,), {"__doc__": None}), "has no docstring"),
    (data.is_a_source, Unlicensed, "has no licence"),
    (data.gives_samples, Nameless, "gives two samples the name 'it'"),
    (data.gives_samples, Silent, "gives none of its first 3 samples a text"),
    (data.opens_its_pictures, Gone, "can't open"),
    (data.goes_to_data_workers, Fat, "bytes on its way to each data worker"),
    (data.knows_itself, Restless, "for the same data"),
]


@pytest.mark.parametrize(("check", "part", "said"), SOURCE)
def test_a_broken_source_is_refused(refused, check, part, said, tmp_path):
    for name in "abc":
        picture((20, 10)).save(tmp_path / f"{name}.png")
    assert said in refused(check, "data", part, {"root": str(tmp_path)})


def test_a_source_without_samples_is_refused(refused):
    assert "holds no sample" in refused(data.is_a_source, "data", Empty)


class Endless(Tokenizer):
    """Cuts nothing."""

    def encode(self, text, **settings):
        return super().encode(text, max_length=500)


class Unpickled(Tokenizer):
    """Keeps what no worker can be sent."""

    def __init__(self, *given, **more):
        super().__init__(*given, **more)
        self.call = lambda: None


def tokenizer_of(kind):
    """A function that makes a tokenizer of a class."""

    def made():
        return kind([*SPECIAL.values(), *WORDS], max_length=8)

    made.__doc__ = "Makes one." if kind is not Tokenizer else None
    return made


TOKENIZER = [
    (is_described, tokenizer_of(Tokenizer), "has no docstring"),
    (data.is_a_tokenizer, lambda: object(), "makes a object, no Tokenizer"),
    (data.gives_ids, tokenizer_of(Endless), "gives 27 ids"),
    (data.goes_on_with_a_run, tokenizer_of(Unpickled), "can't be sent to a data worker"),
]


@pytest.mark.parametrize(("check", "part", "said"), TOKENIZER)
def test_a_broken_tokenizer_is_refused(refused, check, part, said):
    assert said in refused(check, "tokenizer", part)


def test_every_check_of_what_reads_data_is_shown_to_fail():
    tried = (
        (AUGMENTATION, augmentation.CHECKS),
        (ROWS, rows.CHECKS),
        (DETECTOR, detector.DETECTOR),
        (MIXER, detector.MIXER),
        (SOURCE, data.SOURCE),
        (TOKENIZER, data.TOKENIZER),
    )
    for cases, checks in tried:
        assert {check for check, *_ in cases} | {does_no_work_at_import} == {*checks}  # the last: test_imports.py
