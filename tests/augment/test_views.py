"""The three augmentations as parts: size, determinism, order, flips, options; and the views made with them."""

from __future__ import annotations

import pickle
import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from vlzoo.augment import colour, strong, weak
from vlzoo.augment.plain import Plain
from vlzoo.augment.randaugment import RandAugment
from vlzoo.augment.strong import Strong
from vlzoo.augment.view import make_pair, make_view
from vlzoo.augment.weak import Weak
from vlzoo.data_parts import Augmentation
from vlzoo.door.plugins import registry
from vlzoo.errors import PluginError, UnknownName, VlzooError

PARTS = {"plain": Plain, "weak": Weak, "strong": Strong}
BARE = {"scale": None, "randaugment": False, "flip": 0}


def levels_of(augmentation: Augmentation, picture: Image.Image, seed: int) -> np.ndarray:
    return np.asarray(augmentation.image(picture, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", PARTS)
def test_the_door_builds_it_and_workers_can_have_it(name, made):
    part = registry().build("augmentation", name, size=40)
    assert type(part) is PARTS[name]
    assert np.array_equal(levels_of(pickle.loads(pickle.dumps(part)), made, 4), levels_of(part, made, 4))


@pytest.mark.parametrize("name", PARTS)
def test_the_generator_alone_decides(name, photo):
    part = PARTS[name](size=48)
    first = [levels_of(part, photo, seed) for seed in range(12)]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    again = [levels_of(part, photo, seed) for seed in range(12)]
    assert all(map(np.array_equal, first, again))
    different = {levels.tobytes() for levels in first}
    assert len(different) == (1 if name == "plain" else 12)


@pytest.mark.parametrize("name", PARTS)
@given(st.integers(1, 70), st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_any_picture_gets_the_size(name, size, width, height, seed):
    levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    result = levels_of(PARTS[name](size=size), Image.fromarray(levels), seed)
    assert result.shape == (size, size, 3) and result.dtype == np.uint8


def test_with_everything_off_weak_and_strong_are_plain(photo):
    wanted = levels_of(Plain(size=64), photo, 0)
    assert np.array_equal(levels_of(Weak(size=64, **BARE), photo, 0), wanted)
    off = {"jitter_chance": 0, "grey": 0, "blur": 0}
    assert np.array_equal(levels_of(Strong(size=64, **BARE, **off), photo, 0), wanted)


def test_half_of_the_pictures_are_flipped(photo):
    part = Weak(size=24, scale=None, randaugment=False)
    plain = levels_of(Plain(size=24), photo, 0)
    results = [levels_of(part, photo, seed) for seed in range(400)]
    flipped = [np.array_equal(levels, plain[:, ::-1]) for levels in results]
    assert all(f or np.array_equal(levels, plain) for f, levels in zip(flipped, results, strict=True))
    assert stats.binomtest(sum(flipped), 400).pvalue > 1e-3


@pytest.mark.parametrize("text", ["the cat on the left", "What is RIGHT of it?", "leftmost dog", "a bright day"])
def test_a_careful_flip_is_left_out_where_a_text_names_a_side(photo, text):
    careful, blind = Weak(size=24, careful_flip=True, flip=1), Weak(size=24, flip=1)
    still = Weak(size=24, flip=0)
    for seed in range(6):
        view, texts, _ = careful.pair(photo, ("a dog", text), np.random.default_rng(seed))
        assert texts == ("a dog", text)
        assert np.array_equal(np.asarray(view), levels_of(still, photo, seed))
        blindly, *_ = blind.pair(photo, (text,), np.random.default_rng(seed))
        assert np.array_equal(np.asarray(blindly), levels_of(blind, photo, seed))


def test_a_careful_flip_happens_elsewhere(photo):
    careful = Weak(size=24, careful_flip=True, flip=1, scale=None, randaugment=False)
    view, *_ = careful.pair(photo, ("a dog", "two dogs"), np.random.default_rng(0))
    assert np.array_equal(np.asarray(view), levels_of(Plain(size=24), photo, 0)[:, ::-1])


def test_strong_works_in_tcls_order(monkeypatch, made):
    """Crop, jitter, grey, blur, flip, RandAugment: dataset/__init__.py of uta-smile/TCL."""
    seen: list[str] = []

    def noted(name, function):
        return lambda *args, **kwargs: (seen.append(name), function(*args, **kwargs))[1]

    monkeypatch.setattr(weak, "crop_box", noted("crop", weak.crop_box))
    monkeypatch.setattr(strong, "jittered", noted("jitter", strong.jittered))
    monkeypatch.setattr(colour, "grey", noted("grey", colour.grey))
    monkeypatch.setattr(colour, "blur", noted("blur", colour.blur))
    monkeypatch.setattr(Image.Image, "transpose", noted("flip", Image.Image.transpose))
    monkeypatch.setattr(RandAugment, "pair", noted("randaugment", RandAugment.pair))
    Strong(size=32, jitter_chance=1, grey=1, blur=1, flip=1).image(made, np.random.default_rng(0))
    assert seen == ["crop", "jitter", "grey", "blur", "flip", "randaugment"]


def test_strong_changes_come_as_often_as_tcls(monkeypatch):
    counts = {"jitter": 0, "grey": 0, "blur": 0}
    sigmas = []

    def counted(name):
        def same(picture, *rest):
            counts[name] += 1
            if name == "blur":
                sigmas.append(rest[0])
            return picture

        return same

    monkeypatch.setattr(strong, "jittered", counted("jitter"))
    monkeypatch.setattr(colour, "grey", counted("grey"))
    monkeypatch.setattr(colour, "blur", counted("blur"))
    part, tiny, rng = Strong(size=1, **BARE), Image.new("RGB", (1, 1)), np.random.default_rng(8)
    for _ in range(4000):
        part.image(tiny, rng)
    for name, chance in (("jitter", 0.8), ("grey", 0.2), ("blur", 0.5)):
        assert stats.binomtest(counts[name], 4000, chance).pvalue > 1e-3
    assert stats.kstest(sigmas, stats.uniform(0.1, 1.9).cdf).pvalue > 1e-3


def test_jitter_draws_factors_and_order_as_colorjitter(monkeypatch):
    """ColorJitter(0.4, 0.4, 0.4, 0.1): factors in 0.6 to 1.4, hue in -0.1 to 0.1, 24 orders alike."""
    drawn: dict[str, list[float]] = {name: [] for name in ("brightness", "contrast", "saturation", "hue")}
    orders: list[str] = []

    def note(name):
        def same(picture, value):
            drawn[name].append(value)
            orders.append(name[0])
            return picture

        return same

    for name in drawn:
        monkeypatch.setattr(colour, name, note(name))
    rng, tiny = np.random.default_rng(2), Image.new("RGB", (1, 1))
    for _ in range(4000):
        strong.jittered(tiny, (0.4, 0.4, 0.4, 0.1), rng)
    for name in ("brightness", "contrast", "saturation"):
        assert stats.kstest(drawn[name], stats.uniform(0.6, 0.8).cdf).pvalue > 1e-3
    assert stats.kstest(drawn["hue"], stats.uniform(-0.1, 0.2).cdf).pvalue > 1e-3
    counts = np.unique(np.array(orders).reshape(-1, 4), axis=0, return_counts=True)[1]
    assert len(counts) == 24 and stats.chisquare(counts).pvalue > 1e-3


def test_a_jitter_of_zero_is_left_out(photo):
    assert strong.jittered(photo, (0, 0, 0, 0), np.random.default_rng(0)) is photo


@pytest.mark.parametrize(
    ("part", "options", "words"),
    [
        (Plain, {"size": 0}, "augmentation plain, option size: size can't be 0"),
        (Plain, {"size": 64.0}, "a whole number of at least 1"),
        (Weak, {"scale": [0, 1]}, "two rising numbers above 0 and at most 1"),
        (Weak, {"scale": [0.9, 0.5]}, "two rising numbers"),
        (Weak, {"scale": 0.5}, "a list of 2 numbers"),
        (Weak, {"ratio": [0, 1]}, "augmentation weak, option ratio"),
        (Weak, {"flip": "yes"}, "a number from 0 to 1"),
        (Weak, {"flip": 2}, "a number from 0 to 1"),
        (Weak, {"careful_flip": "no"}, "true or false"),
        (Weak, {"randaugment": "Rotate"}, "give a list of names"),
        (Strong, {"jitter": [0.4, 0.4, 0.4]}, "a list of 4 numbers"),
        (Strong, {"jitter": [0.4, 0.4, 0.4, 0.6]}, "a number from 0 to 0.5"),
        (Strong, {"sigma": [2, 1]}, "augmentation strong, option sigma"),
        (Strong, {"flip": -1}, "augmentation strong, option flip"),
    ],
)
def test_wrong_options_are_named(part, options, words):
    with pytest.raises(VlzooError, match=re.escape(words)):
        part(**options)


def test_an_unknown_operation_gets_the_nearest_name():
    with pytest.raises(UnknownName, match=r"weak, option randaugment: .*\n.*did you mean 'Rotate'"):
        Weak(randaugment=["Rotat"])
    with pytest.raises(UnknownName, match="careful_flip"):
        registry().build("augmentation", "weak", carefulflip=True)


def test_a_recipes_lists_are_taken(photo):
    part = Weak(size=32, scale=[0.5, 1], ratio=[1, 1], randaugment=["Identity"], flip=1)
    assert levels_of(part, photo, 0).shape == (32, 32, 3)


class Strangers(Augmentation):
    """A plugin's: changes words, draws after the picture, and leaves the size to `make_view`."""

    def __init__(self, size):
        self.size = size

    def text(self, text, rng):
        return f"{text} {rng.integers(10)}"


def test_views_have_the_size_whatever_the_augmentation_gives(photo):
    view = make_view(photo, Strangers(40), np.random.default_rng(0))
    assert view.dtype == np.uint8 and np.array_equal(view, levels_of(Plain(size=40), photo, 0))
    assert view.flags.writeable  # torch.from_numpy warns otherwise


def test_pairs_keep_picture_and_texts_together(photo):
    view, texts, _ = make_pair(photo, ["a", "b"], Strangers(16), np.random.default_rng(3))
    rng = np.random.default_rng(3)
    assert view.shape == (16, 16, 3)
    assert texts == (f"a {rng.integers(10)}", f"b {rng.integers(10)}")
    part = Weak(size=16)
    view, texts, _ = make_pair(photo, ["a"], part, np.random.default_rng(3))
    assert texts == ("a",) and np.array_equal(view, make_view(photo, part, np.random.default_rng(3)))


class Gives(Augmentation):
    """An augmentation that gives what it is told to."""

    size = 8

    def __init__(self, picture=None, pair=None):
        self.gives, self.pairs = picture, pair

    def image(self, picture, rng):
        return self.gives if self.gives is not None else picture

    def pair(self, picture, texts, rng, boxes=()):
        return self.pairs if self.pairs is not None else super().pair(picture, texts, rng, boxes)


PICTURE = Image.new("RGB", (12, 10))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (Gives(Image.new("L", (8, 8))), "gave a picture of mode L, not RGB"),
        (Gives(Image.new("RGBA", (8, 8))), "gave a picture of mode RGBA, not RGB"),
        (Gives(Image.new("P", (8, 8))), "gave a picture of mode P, not RGB"),
        (Gives(np.zeros((8, 8, 3), np.uint8)), "gave a numpy.ndarray, not a PIL picture"),
        (Gives(torch.zeros(3, 8, 8)), "gave a torch.Tensor, not a PIL picture"),
        (Gives(Image.new("RGB", (0, 8))), "gave a picture of 0x8 pixels"),
        (Gives(pair=PICTURE), "gave <PIL.Image.Image"),
        (Gives(pair=(PICTURE, ("a",))), "gave (<PIL.Image.Image"),
        (Gives(pair=(PICTURE, (), ())), "gave the texts ()"),
        (Gives(pair=(PICTURE, ("a", "b"), ())), "gave the texts ('a', 'b')"),
        (Gives(pair=(PICTURE, (None,), ())), "gave the texts (None,)"),
        (Gives(pair=(PICTURE, ("a",), ((0, 0, 1, 1),))), "gave 1 boxes for 0"),
    ],
)
def test_what_an_augmentation_must_not_give_names_it(made, said):
    with pytest.raises(PluginError) as caught:
        make_pair(PICTURE, ["a"], made, np.random.default_rng(0))
    assert f"augmentation 'Gives' {said}" in caught.value.what
    assert "test_views.py:" in caught.value.where and caught.value.fix


@pytest.mark.parametrize("size", [None, 0, -8, (8, 8), "8", True, 8.0])
def test_a_size_that_is_none_names_the_augmentation(size):
    made = Gives()
    made.size = size
    for make in (
        lambda: make_pair(PICTURE, ["a"], made, np.random.default_rng(0)),
        lambda: make_view(PICTURE, made, np.random.default_rng(0)),
    ):
        with pytest.raises(PluginError, match="augmentation 'Gives' has the size"):
            make()


def test_pictures_of_any_size_are_resized_and_lists_are_taken():
    made = Gives(pair=(Image.new("RGB", (4, 2)), ["b"], [(0, 0, 2, 2)]))
    levels, texts, boxes = make_pair(PICTURE, ["a"], made, np.random.default_rng(0), [(0, 0, 1, 1)])
    assert levels.shape == (8, 8, 3) and texts == ("b",)
    assert boxes == ((0, 0, 4, 8),)  # twice as wide, four times as high
