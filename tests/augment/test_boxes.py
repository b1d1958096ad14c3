"""Boxes move with their picture: by hand, and by drawing a box and finding it again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlzoo.augment.boxes import cropped, flipped, inside, scaled, warped
from vlzoo.augment.plain import Plain
from vlzoo.augment.strong import Strong
from vlzoo.augment.view import make_pair
from vlzoo.augment.warp import rotation
from vlzoo.augment.weak import Weak
from vlzoo.data_parts import Augmentation
from vlzoo.errors import VlzooError

BOX = (10.0, 4.0, 20.0, 6.0)


def test_by_hand():
    """Worked out on paper: a picture of 40 x 20 with a box from (10, 4) to (30, 10)."""
    assert cropped([BOX], (15, 2, 40, 20)) == ((-5, 2, 20, 6),)
    assert scaled([BOX], (40, 20), (20, 40)) == ((5, 8, 10, 12),)
    assert flipped([BOX], 40) == ((10, 4, 20, 6),)
    assert flipped([(0, 4, 5, 6)], 40) == ((35, 4, 5, 6),)
    assert warped([BOX], (1, 0, 3, 0, 1, -2)) == ((13, 2, 20, 6),)
    # A quarter turn counter-clockwise of 8 x 8 about (4, 4) in pixels from the centre of the first, so half a pixel
    # off: the pixel (x, y) goes to (y, 8 - x), the box's pixels 1..2 x 3..3 to 3..3 x 6..7.
    (turned,) = warped([(1, 3, 2, 1)], rotation(90, 8, 8))
    assert turned == pytest.approx((3, 6, 1, 2))


def test_what_lies_inside():
    assert inside((2, 2, 4, 4), 8, 8) == ((2, 2, 4, 4), 1.0)
    # 3 of 6 columns, 2 of 4 rows: a quarter.
    assert inside((5, -2, 6, 4), 8, 8) == ((5, 0, 3, 2), 0.25)
    assert inside((9, 9, 2, 2), 8, 8) == ((8, 8, 0, 0), 0.0)
    assert inside((1, 1, 0, 3), 8, 8)[1] == 0.0
    assert inside((6, 6, -3, -3), 8, 8)[1] == inside((6, 6, -3, 3), 8, 8)[1] == 0.0  # corners swapped


def marked(box: tuple[int, int, int, int], side: int = 160) -> Image.Image:
    """A black picture with a white box."""
    levels = np.zeros((side, side, 3), np.uint8)
    x, y, width, height = box
    levels[y : y + height, x : x + width] = 255
    return Image.fromarray(levels)


def found(levels: np.ndarray) -> tuple[float, float, float, float]:
    """The smallest box around what is white."""
    rows, columns = (np.flatnonzero((levels.mean(-1) > 127).any(axis)) for axis in (1, 0))
    return columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]


MOVES = ["ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"]


@pytest.mark.parametrize(
    "part",
    [
        Plain(size=96),
        Weak(size=96, flip=1, randaugment=False, scale=None),
        Weak(size=96, flip=0.5, randaugment=False, scale=(0.6, 1.0)),
        Strong(size=96, flip=0.5, randaugment=False, scale=(0.6, 1.0), jitter_chance=0, grey=0, blur=0),
        *(Weak(size=96, flip=0.5, randaugment=[move], level=5, scale=(0.6, 1.0)) for move in MOVES),
        Weak(size=96, flip=0.5, randaugment=MOVES, draws=3, level=3, scale=(0.8, 1.0)),
    ],
    ids=["plain", "flip", "crop", "strong", *MOVES, "several"],
)
def test_a_box_that_is_drawn_is_found_again(part):
    """Outside the picture grey 128 fills in, which is not white; edges are smoothed over a pixel or two."""
    seen = 0
    for seed in range(30):
        rng = np.random.default_rng([seed, 1])
        box = (*map(int, rng.integers(30, 70, 2)), *map(int, rng.integers(25, 50, 2)))
        levels, texts, (moved,) = make_pair(marked(box), ("left",), part, np.random.default_rng(seed), [box])
        kept, share = inside(moved, 96, 96)
        grey = np.where((levels > 200).all(-1, keepdims=True), levels, 0)
        assert texts == ("left",)
        if share < 0.999:  # of a slanted box only a corner may be left
            continue
        seen += 1
        assert found(grey) == pytest.approx(kept, abs=3)
    assert seen > 10


def test_boxes_change_no_draw():
    """The same picture with a box and without."""
    picture, part = marked((30, 30, 40, 20)), Weak(size=64)
    for seed in range(8):
        with_box, _, _ = part.pair(picture, (), np.random.default_rng(seed), [(30, 30, 40, 20)])
        without, _, none = part.pair(picture, (), np.random.default_rng(seed))
        assert none == () and np.array_equal(np.asarray(with_box), np.asarray(without))


def test_a_careful_flip_leaves_boxes_where_they_are():
    part = Weak(size=80, flip=1, careful_flip=True, scale=None, randaugment=False)
    box = (20.0, 40.0, 30.0, 20.0)
    for text, wanted in (("the left one", (10, 20, 15, 10)), ("a dog", (55, 20, 15, 10))):
        _, _, (moved,) = part.pair(marked((20, 40, 30, 20)), (text,), np.random.default_rng(0), [box])
        assert moved == wanted


class Blind(Augmentation):
    """A plugin's that changes pictures and says nothing of boxes."""

    size = 40

    def image(self, picture, rng):
        return picture.rotate(90)


class Nothing(Augmentation):
    """One that leaves the picture as it is."""

    size = 40


def test_who_does_not_say_where_boxes_go_is_not_asked():
    picture = marked((30, 30, 40, 20))
    assert make_pair(picture, ("a",), Blind(), np.random.default_rng(0))[1] == ("a",)
    with pytest.raises(VlzooError, match="the augmentation Blind does not say where boxes lie"):
        make_pair(picture, ("a",), Blind(), np.random.default_rng(0), [BOX])
    # 160 pixels become 40.
    assert make_pair(picture, (), Nothing(), np.random.default_rng(0), [BOX])[2] == ((2.5, 1.0, 5.0, 1.5),)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32))
def test_the_whole_picture_stays_the_whole_picture(width, height, seed):
    part = Weak(size=32, scale=None, randaugment=False)
    whole = (0.0, 0.0, float(width), float(height))
    _, _, (moved,) = part.pair(Image.new("RGB", (width, height)), (), np.random.default_rng(seed), [whole])
    assert moved == pytest.approx((0, 0, 32, 32))
