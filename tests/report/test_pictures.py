"""Pictures in a page: read back, bounded in bytes and pixels, boxes where they belong."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vlzoo.report.pictures import FOUND, MOST_BYTES, SIDE, TRUE, boxed, embedded

rng = np.random.default_rng(0)


def decoded(address: str) -> tuple[str, bytes, Image.Image]:
    kind, _, data = address.partition(";base64,")
    raw = base64.b64decode(data, validate=True)
    return kind.removeprefix("data:image/"), raw, Image.open(io.BytesIO(raw))


def test_flat_colours_are_a_png_and_come_back_as_they_were():
    picture = Image.new("RGB", (64, 48), (200, 10, 10))
    kind, _, shown = decoded(embedded(picture))
    assert kind == "png" and shown.size == (64, 48)
    assert np.array_equal(np.asarray(shown), np.asarray(picture))


@pytest.mark.parametrize("size", [(640, 480), (3000, 10), (1, 1)])
@pytest.mark.parametrize("most", [MOST_BYTES, 700])
def test_noise_takes_no_more_than_it_may(size, most):
    picture = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    _, raw, shown = decoded(embedded(picture, most=most))
    assert len(raw) <= most and max(shown.size) <= SIDE


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_pictures_of_every_kind(mode):
    assert decoded(embedded(Image.new(mode, (50, 40))))[2].size == (50, 40)


def test_both_boxes_are_seen_where_they_lie_and_where_they_are_the_same():
    picture = Image.new("RGB", (120, 60))  # drawn twice as large
    apart = np.asarray(boxed(picture, [(10.0, 10.0, 20.0, 20.0)], [(70.0, 10.0, 20.0, 20.0)]))
    assert apart.shape == (120, 240, 3)
    assert tuple(apart[40, 20]) == FOUND and tuple(apart[40, 140]) == TRUE
    same = np.asarray(boxed(picture, [(10.0, 10.0, 20.0, 20.0)], [(10.0, 10.0, 20.0, 20.0)])).reshape(-1, 3)
    assert (same == FOUND).all(axis=1).any() and (same == TRUE).all(axis=1).any()
