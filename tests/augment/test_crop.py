"""Cropping and resizing: bounds, laws of the draws, and bicubic arithmetic written out."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from torchvision.transforms import RandomResizedCrop

from vlzoo.augment.crop import crop_box, resized

ALBEF = ((0.2, 1.0), (3 / 4, 4 / 3))


def bicubic_weights(before: int, after: int) -> np.ndarray:
    """[after, before]: Keys' kernel with a = -1/2, widened when shrinking; each row sums to 1."""
    stretch = max(before / after, 1.0)
    centre = (np.arange(after) + 0.5) * before / after
    distance = np.abs((np.arange(before)[None] + 0.5 - centre[:, None]) / stretch)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return weights / weights.sum(1, keepdims=True)


def test_resizing_is_bicubic_with_antialiasing(photo):
    levels = np.asarray(photo).astype(float)
    for size in (64, 256):
        # Pillow shrinks rows first, and rounds and cuts off to bytes between its two passes.
        rows = np.einsum("xw,hwc->hxc", bicubic_weights(levels.shape[1], size), levels)
        rows = np.floor(rows + 0.5).clip(0, 255)
        wanted = np.einsum("yh,hxc->yxc", bicubic_weights(levels.shape[0], size), rows)
        assert np.abs(np.asarray(resized(photo, size)) - np.floor(wanted + 0.5).clip(0, 255)).max() <= 1


def test_the_whole_picture_is_taken_and_its_aspect_is_not_kept():
    halves = Image.new("RGB", (200, 40), (255, 0, 0))
    halves.paste((0, 0, 255), (100, 0, 200, 40))
    levels = np.asarray(resized(halves, 20))
    assert levels.shape == (20, 20, 3)
    assert (levels[:, :8] == (255, 0, 0)).all() and (levels[:, 12:] == (0, 0, 255)).all()


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_a_box_lies_inside_and_keeps_its_bounds(width, height, seed):
    left, top, right, bottom = crop_box(width, height, *ALBEF, np.random.default_rng(seed))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    across, down = right - left, bottom - top
    # Sides are rounded to whole pixels, half a pixel each.
    assert (across - 0.5) / (down + 0.5) <= 4 / 3 or down == height
    assert (across + 0.5) / (down - 0.5) >= 3 / 4 or across == width
    if 3 / 4 <= width / height <= 4 / 3:
        assert (across + 0.5) * (down + 0.5) >= 0.2 * width * height


def test_extreme_pictures_get_the_largest_allowed_box_in_the_middle():
    rng = np.random.default_rng(0)
    assert crop_box(1000, 30, *ALBEF, rng) == (480, 0, 520, 30)  # 30 x 4/3 = 40 wide
    assert crop_box(30, 1000, *ALBEF, rng) == (0, 480, 30, 520)
    assert crop_box(1, 1000, *ALBEF, rng) == (0, 499, 1, 500)


def draws(count: int) -> np.ndarray:
    rng = np.random.default_rng(11)
    return np.array([crop_box(640, 480, *ALBEF, rng) for _ in range(count)])


def test_boxes_follow_torchvisions_law():
    ours = draws(4000)
    torch.manual_seed(5)
    picture = Image.new("RGB", (640, 480))
    theirs = np.array([RandomResizedCrop.get_params(picture, *map(list, ALBEF)) for _ in range(4000)])
    top, left, down, across = theirs.T
    pairs = (
        (ours[:, 0], left),
        (ours[:, 1], top),
        (ours[:, 2] - ours[:, 0], across),
        (ours[:, 3] - ours[:, 1], down),
        ((ours[:, 2] - ours[:, 0]) / (ours[:, 3] - ours[:, 1]), across / down),
    )
    for mine, official in pairs:
        assert stats.ks_2samp(mine, official).pvalue > 1e-3


def test_area_is_uniform_and_ratio_log_uniform_where_every_box_fits():
    rng = np.random.default_rng(3)
    boxes = np.array([crop_box(4000, 4000, (0.2, 0.5), (3 / 4, 4 / 3), rng) for _ in range(3000)])
    across, down = (boxes[:, 2] - boxes[:, 0]).astype(float), (boxes[:, 3] - boxes[:, 1]).astype(float)
    assert stats.kstest(across * down / 4000**2, stats.uniform(0.2, 0.3).cdf).pvalue > 1e-3
    width = 2 * math.log(4 / 3)
    assert stats.kstest(np.log(across / down), stats.uniform(-width / 2, width).cdf).pvalue > 1e-3


def test_every_place_is_reached_and_none_preferred():
    rng = np.random.default_rng(4)
    boxes = np.array([crop_box(5, 4, (0.45, 0.45), (1, 1), rng) for _ in range(3000)])  # a 3 x 3 box in 5 x 4
    places, counts = np.unique(boxes[:, :2], axis=0, return_counts=True)
    assert places.tolist() == [[left, top] for left in range(3) for top in range(2)]
    assert stats.chisquare(counts).pvalue > 1e-3
