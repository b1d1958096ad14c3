"""What captions of Scenes state, and how it is judged; the truths are read off the pictures by hand."""

from __future__ import annotations

import pytest

from vlzoo.bench.captioning import facts
from vlzoo.data.readers.scenes import Scenes
from vlzoo.data.scenes.scene import Thing

RED = Thing("red", "circle", "large", "striped", x=0.2, y=0.2, extent=0.3)
BLUE = Thing("blue", "star", "small", "plain", x=0.8, y=0.25, extent=0.2)
PICTURE = [RED, BLUE]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A red circle.", {"colors": [1], "shapes": [1], "objects": [1]}),
        ("a red star", {"colors": [1], "shapes": [1], "objects": [0]}),  # both are there, not on one object
        ("a green ring", {"colors": [0], "shapes": [0], "objects": [0]}),
        ("a big striped red circle", {"colors": [1], "shapes": [1], "objects": [1], "looks": [1]}),
        ("a little red circle", {"colors": [1], "shapes": [1], "objects": [1], "looks": [0]}),
        ("two red circles", {"colors": [1], "shapes": [1], "objects": [1], "numbers": [0]}),
        ("a red circle at the top left", {"colors": [1], "shapes": [1], "objects": [1], "places": [1]}),
        ("a blue star on the left", {"colors": [1], "shapes": [1], "objects": [1], "places": [0]}),
        (
            "A red circle is to the left of a blue star",
            {"colors": [1, 1], "shapes": [1, 1], "objects": [1, 1], "places": [1]},
        ),
        ("a blue star above a red circle", {"colors": [1, 1], "shapes": [1, 1], "objects": [1, 1], "places": [0]}),
        ("Two objects on a plain ground", {}),
        ("", {}),
    ],
)
def test_statements_by_hand(caption, expected):
    found: dict[str, list[int]] = {}
    for kind, true in facts.statements(caption, PICTURE):
        found.setdefault(kind, []).append(int(true))
    assert found == expected


def test_all_that_the_generators_captions_state_is_true(corpus):
    """Not a word of the generator's is false of its picture, and more than half of all objects are named."""
    samples = list(Scenes(corpus, split="train", unit="image", things=True))
    shown = [facts.things_of(sample.fields["things"]) for sample in samples]
    for number in range(5):
        found = facts.judged([sample.texts[number] for sample in samples], shown)
        assert (found.true == found.stated).all()
        assert found.stated[:, 0].sum() > 0 and found.named.sum() > found.shown.sum() / 2


def test_captions_of_other_pictures_and_words_by_lot():
    other = [Thing("green", "ring", "large", "plain", x=0.5, y=0.5, extent=0.3)]
    # Moved on by one, each caption is of the other picture: nothing is true.
    assert facts.blind(["a red circle", "a green ring"], [PICTURE, other]) == 0.0
    assert facts.blind(["a red circle", "a red circle"], [PICTURE, PICTURE]) == 100.0
    # Two of eight colors and one of eight; two and one of six shapes; two and one of 48 pairs.
    assert facts.chance([PICTURE, other]) == pytest.approx(
        {"colors": 100 * 1.5 / 8, "shapes": 100 * 1.5 / 6, "objects": 100 * 1.5 / 48}
    )


def test_objects_that_are_named():
    found = facts.judged(["a red circle and a red star"], [PICTURE])
    assert (found.named.tolist(), found.shown.tolist()) == ([1], [2])
