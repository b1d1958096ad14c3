"""Words of the ablation suite, against arithmetic by hand and the scenes' facts."""

from __future__ import annotations

import re
from random import Random
from types import ModuleType

import pytest

from vlzoo.data.scenes.draw import draw
from vlzoo.data.scenes.phrases import captions
from vlzoo.data.scenes.scene import sample_scene
from vlzoo.data.scenes.words import SHAPES, TRAIN_PAIRS
from vlzoo.text.cleaning import pre_caption


@pytest.fixture
def words(part) -> ModuleType:
    return part("words")


def thing(color, shape, box, size="small", texture="plain"):
    return {"color": color, "shape": shape, "size": size, "texture": texture, "box": box}


THINGS = [thing("red", "circle", [4, 30, 10, 10]), thing("blue", "star", [40, 10, 20, 20], "large", "dotted")]


def test_words_by_hand(words):
    found = words.spoken_words("A little red circle is to the left of a big spotted blue star.", THINGS)
    circle, star, both = (4, 30, 10, 10), (40, 10, 20, 20), (4, 10, 56, 30)
    assert [(word.place, word.text, word.kind, word.box) for word in found] == [
        (1, "little", "attribute", circle),
        (2, "red", "attribute", circle),
        (3, "circle", "object", circle),
        (7, "left", "relation", both),
        (10, "big", "attribute", star),
        (11, "spotted", "attribute", star),
        (12, "blue", "attribute", star),
        (13, "star", "object", star),
    ]


@pytest.mark.parametrize(
    "caption",
    [
        "Two red circles and three blue stars.",  # plurals speak of several
        "A picture of a red square.",  # fits nothing
        "It is on the left, above a plain ground.",  # no name
    ],
)
def test_what_is_left_out(words, caption):
    assert words.spoken_words(caption, THINGS) == []


def test_a_name_that_fits_two_is_left_out_and_with_it_its_relation(words):
    things = [*THINGS, thing("red", "circle", [50, 50, 10, 10], "large")]
    found = words.spoken_words("A red circle above a blue star.", things)
    assert [word.text for word in found] == ["blue", "star"]
    found = words.spoken_words("A large red circle under a blue star.", things)
    assert [word.text for word in found] == ["large", "red", "circle", "under", "blue", "star"]


def test_a_hidden_object_is_not_spoken_of(words):
    assert words.spoken_words("A red circle.", [thing("red", "circle", None)]) == []


def test_captions_as_they_are_generated(words):
    """Every name is found and is true of the scene, and so is every relation."""
    relations = 0
    for seed in range(150):
        rng = Random(seed)
        scene = sample_scene(rng, TRAIN_PAIRS, curtained=seed % 3 == 0)
        boxes = draw(scene, 64).boxes
        things = [{**vars(one), "box": box} for one, box in zip(scene.things, boxes, strict=True)]
        for caption in captions(scene, rng):
            clean = pre_caption(caption, 100)
            names = words.names_of(clean, things)
            assert len(names) == len(re.findall(rf"\b(?:{'|'.join(SHAPES)})\b", clean)), clean
            assert all(name.fits for name in names), clean
            for word in words.spoken_words(caption, things):
                assert clean.split()[word.place] == word.text
                relations += word.kind == "relation"
            one_and_other = [name.fits[0] for name in names if len(name.fits) == 1]
            said = [word.text for word in words.spoken_words(caption, things) if word.kind == "relation"]
            if said:
                one, other = one_and_other
                axis, sign = {"left": ("x", 1), "right": ("x", -1), "above": ("y", 1)}.get(said[0], ("y", -1))
                assert sign * one[axis] < sign * other[axis], clean
    assert relations > 50  # one caption of five states a relation where there are two objects
