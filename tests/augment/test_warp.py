"""Warping against a pixel-by-pixel reading of OpenCV's fixed-point rules, scipy's sampler, and simple cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from vlzoo.augment.warp import rotation, shift, warp


def pixel_by_pixel(levels: np.ndarray, affine: tuple[float, ...], x: int, y: int) -> list[int]:
    """One target pixel: source in 1/1024 pixel, to 1/32 with halves up, four taps, grey 128 outside."""
    inverse = np.linalg.inv(np.array([affine[:3], affine[3:], (0, 0, 1)]))
    places = []
    for row in inverse[:2]:
        fine = round(float(row[0]) * x * 1024) + round(float(row[1] * y + row[2]) * 1024)
        places.append(math.floor((fine + 16) / 32))
    (left, right), (top, down) = (divmod(place, 32) for place in places)
    total = np.zeros(3, int)
    for v, weight_y in ((top, 32 - down), (top + 1, down)):
        for u, weight_x in ((left, 32 - right), (left + 1, right)):
            inside = 0 <= v < levels.shape[0] and 0 <= u < levels.shape[1]
            total += weight_x * weight_y * (levels[v, u].astype(int) if inside else np.full(3, 128))
    return [int(value + 512) // 1024 for value in total]


CASES = {
    "shear x": (1, 0.21, 0, 0, 1, 0),
    "shear y": (1, 0, 0, -0.21, 1, 0),
    "half pixel": (1, 0, 2.5, 0, 1, -3.25),
    "turn": rotation(21, 90, 120),
    "turn back": rotation(-30, 90, 120),
}


@pytest.mark.parametrize("affine", CASES.values(), ids=CASES)
def test_equals_the_fixed_point_rules_pixel_by_pixel(photo, affine):
    levels = np.asarray(photo)[:90, :120]
    warped = warp(levels, affine)
    rng = np.random.default_rng(0)
    places = [(0, 0), (119, 0), (0, 89), (119, 89), *rng.integers((120, 90), size=(300, 2)).tolist()]
    for x, y in places:
        assert warped[y, x].tolist() == pixel_by_pixel(levels, affine, x, y), (x, y)


@pytest.mark.parametrize("affine", CASES.values(), ids=CASES)
def test_is_bilinear_sampling_up_to_the_rounding_of_coordinates(photo, affine):
    levels = np.asarray(photo)[:90, :120]
    inverse = np.linalg.inv(np.array([affine[:3], affine[3:], (0, 0, 1)]))
    swap = inverse[:2, :2][::-1, ::-1]  # scipy counts rows first
    exact = np.stack(
        [
            affine_transform(
                levels[..., c].astype(float), swap, inverse[:2, 2][::-1], order=1, mode="grid-constant", cval=128
            )
            for c in range(3)
        ],
        -1,
    )
    # A coordinate is off by at most 1/64 + 2 x 1/2048 pixel, a level changes by at most 255 a pixel on each axis.
    assert np.abs(warp(levels, affine) - exact).max() <= 2 * 255 * (1 / 64 + 1 / 1024) + 0.5
    assert np.abs(warp(levels, affine) - exact).mean() < 0.6  # rounding to whole levels alone gives 0.25


def test_nothing_moves_under_the_identity(photo):
    assert (warp(np.asarray(photo), (1, 0, 0, 0, 1, 0)) == np.asarray(photo)).all()


@given(st.integers(-40, 40), st.integers(-40, 40), st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_shift_is_the_warp_of_a_translation(right, down, height, width):
    levels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert (shift(levels, right, down) == warp(levels, (1, 0, right, 0, 1, down))).all()


def test_a_quarter_turn_goes_counter_clockwise_about_half_the_size():
    levels = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    turned = warp(levels, rotation(90, 8, 8))
    # (W / 2, H / 2) is half a pixel past the centre, so numpy's turn arrives one pixel lower.
    assert (turned[1:] == np.rot90(levels)[:-1]).all()
    assert (turned[0] == 128).all()


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-50, 50), st.integers(1, 200), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_a_picture_of_the_fill_level_stays_as_it_is(b, d, c, width, height):
    if abs(1 - b * d) < 0.05:
        return
    levels = np.full((height, width, 3), 77, np.uint8)
    assert (warp(levels, (1, b, c, d, 1, -c), fill=77) == 77).all()


def test_bands_do_not_show():
    levels = np.random.default_rng(3).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    whole = warp(levels, (1, 0.1, 0, 0, 1, 0))
    for y in (0, 80, 81, 82, 163, 164, 299):
        assert whole[y, 150].tolist() == pixel_by_pixel(levels, (1, 0.1, 0, 0, 1, 0), 150, y)
