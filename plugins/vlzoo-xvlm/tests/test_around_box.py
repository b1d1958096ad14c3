"""Crops around a box."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from vlzoo_xvlm.around_box import STILL, AroundBox, edges_around

from vlzoo.errors import VlzooError


def noise():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))


class Lowest:
    """Draws the lowest number."""

    def integers(self, low, high=None):
        return 0 if high is None else low

    def random(self):
        return 0.0


def test_the_crop_holds_a_box_whole_and_reaches_every_edge():
    """Edges are whole pixels: left 0 to 3, top 0 to 2, right 8 to 10, bottom 6 to 12, each of them drawn."""
    found = np.array([edges_around([(3, 2.5, 4.5, 3)], (10, 12), np.random.default_rng(n)) for n in range(400)])
    assert [sorted(set(column)) for column in found.T.tolist()] == [
        [0, 1, 2, 3],
        [0, 1, 2],
        [8, 9, 10],
        [6, 7, 8, 9, 10, 11, 12],
    ]


def test_any_box_may_be_the_one():
    crops = [edges_around([(0, 0, 2, 2), (7, 9, 3, 3)], (10, 12), np.random.default_rng(n)) for n in range(50)]
    assert any(crop[2] < 7 for crop in crops) and any(crop[0] > 2 for crop in crops)


@pytest.mark.parametrize("boxes", [[], [(20, 0, 5, 5)], [(1, 1, 0, 5)], [(1, 1, float("nan"), 5)]])
def test_without_a_box_the_whole_picture_is_taken(boxes):
    assert edges_around(boxes, (10, 12), np.random.default_rng(0)) == (0, 0, 10, 12)


def test_a_flip_mirrors_boxes_unless_a_text_names_a_side():
    """A picture of 64 with the ball at 16 to 32: mirrored it is at 32 to 48."""
    boxes = [(0, 0, 64, 64), (16, 0, 16, 16)]  # the crop around the first is the whole picture
    change = AroundBox(size=64, flip=1.0, careful_flip=True, randaugment=False)
    for word, left in (("ball", 32), ("left ball", 16)):
        assert change.pair(noise(), [word], Lowest(), boxes)[2] == ((0, 0, 64, 64), (left, 0, 16, 16))


def test_operations_move_no_pixel():
    assert STILL == ("Identity", "AutoContrast", "Equalize", "Brightness", "Sharpness")
    assert AroundBox().randaugment.ops == STILL
    assert AroundBox(randaugment=["Rotate"]).randaugment.ops == ("Rotate",)
    assert AroundBox(randaugment=False).randaugment is None


def test_a_picture_alone_is_not_cropped():
    picture = noise()
    seen = AroundBox(size=64, flip=0.0, randaugment=False).image(picture, np.random.default_rng(0))
    assert np.array_equal(np.asarray(seen), np.asarray(picture))


def test_options_are_checked_under_its_name():
    with pytest.raises(VlzooError, match=r"augmentation around_box, option flip"):
        AroundBox(flip=2)


def test_boxes_follow_their_picture():
    """A white square on black: where the box lies it is white, whatever the crop, the flip and the colours."""
    levels = np.zeros((80, 80, 3), np.uint8)
    levels[24:56, 8:40] = 255
    seen_at = set()
    for seed in range(20):
        change, rng = AroundBox(size=64), np.random.default_rng(seed)
        changed, _, boxes = change.pair(Image.fromarray(levels), ["a"], rng, [(8, 24, 32, 32)])
        x, y, width, height = boxes[0]
        grey = np.asarray(changed).astype(float).mean(2)
        # Two pixels of its edges are smoothed by resizing.
        inner = grey[int(y + 3) : int(y + height - 2), int(x + 3) : int(x + width - 2)]
        outer = np.delete(grey, slice(max(0, int(x - 2)), int(x + width + 3)), axis=1)
        assert inner.size and inner.min() > 0.9 * grey.max() and (not outer.size or outer.max() < 0.1 * grey.max())
        seen_at.add(round(x))
    assert len(seen_at) > 5
