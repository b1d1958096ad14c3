"""The middle of a picture, against what transformers' CLIP processor makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessor

from vlzoo.augment.centre import Centre
from vlzoo.errors import VlzooError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("sides", [(64, 48), (48, 65), (224, 224), (500, 333), (31, 90)])
def test_it_is_what_transformers_makes(photo, sides):
    given = photo.resize(sides)
    processor = CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_rescale=False, do_normalize=False
    )
    wanted = processor(images=given, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    found = np.asarray(Centre(size=32).image(given, RNG)).astype(float)
    assert np.abs(found - wanted).max() <= 1  # Pillow's arithmetic is not torchvision's, by a level


def test_a_picture_of_its_size_stays_as_it_is(photo):
    given = photo.resize((40, 40))
    assert Centre(size=40).image(given, RNG).tobytes() == given.tobytes()


def test_boxes_move_with_the_picture():
    given = Image.new("RGB", (80, 40))
    given.paste((255, 255, 255), (30, 10, 50, 30))
    changed, texts, boxes = Centre(size=20).pair(given, ["a square"], RNG, [(30, 10, 20, 20)])
    assert boxes == ((5.0, 5.0, 10.0, 10.0),) and texts == ("a square",)
    bright = np.asarray(changed)[..., 0] > 200
    assert bright[7:13, 7:13].all() and not bright[:3].any() and not bright[:, :3].any()


def test_a_line_of_pixels_is_not_made_as_wide_as_it_could_be():
    assert Centre(size=24).image(Image.new("RGB", (200_000, 1)), RNG).size == (24, 24)
    assert Centre(size=24).image(Image.new("RGB", (1, 200_000)), RNG).size == (24, 24)


def test_a_size_that_can_not_be():
    with pytest.raises(VlzooError, match="size"):
        Centre(size=0)
