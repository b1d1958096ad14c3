"""Colour changes against numpy arithmetic written from the definitions."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from torchvision.transforms import functional as official

from vlzoo.augment import colour


def levels_of(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(np.int64)


def luma(levels: np.ndarray) -> np.ndarray:
    """ITU-R 601-2 in 16-bit fixed point, as Pillow's manual gives it: L = 0.299 R + 0.587 G + 0.114 B."""
    return (levels @ np.array([19595, 38470, 7471]) + 0x8000) >> 16


def cut(levels: np.ndarray) -> np.ndarray:
    return np.clip(levels, 0, 255).astype(np.int64)


def test_autocontrast_stretches_each_colour(photo):
    dim = Image.fromarray((np.asarray(photo) // 2 + [30, 10, 0]).astype(np.uint8))
    before, after = levels_of(dim), levels_of(colour.autocontrast(dim))
    for c in range(3):
        low, high = before[..., c].min(), before[..., c].max()
        wanted = (before[..., c] - low) * 255 / (high - low)
        assert np.abs(after[..., c] - wanted).max() <= 1  # cut to whole levels
        assert after[..., c].min() == 0 and after[..., c].max() >= 254


def test_equalize_follows_the_histogram(photo):
    before, after = levels_of(photo), levels_of(colour.equalize(photo))
    for c in range(3):
        counts = np.bincount(before[..., c].ravel(), minlength=256)
        last = counts[np.flatnonzero(counts)[-1]]
        step = (counts.sum() - last) // 255
        below = np.concatenate([[0], np.cumsum(counts)[:-1]])
        assert (after[..., c] == np.minimum((step // 2 + below) // step, 255)[before[..., c]]).all()


@pytest.mark.parametrize("change", [colour.autocontrast, colour.equalize])
def test_a_flat_picture_stays(change):
    flat = Image.new("RGB", (9, 7), (3, 90, 255))
    assert (levels_of(change(flat)) == levels_of(flat)).all()


@pytest.mark.parametrize("factor", [0.1, 0.6, 1.36, 1.9])
def test_brightness_multiplies(photo, factor):
    wanted = cut(np.float32(factor) * levels_of(photo).astype(np.float32))
    assert (levels_of(colour.brightness(photo, factor)) == wanted).all()


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_contrast_moves_away_from_the_mean_grey(photo, factor):
    levels = levels_of(photo)
    mean = int(luma(levels).mean() + 0.5)
    wanted = mean + factor * (levels - mean)
    assert np.abs(levels_of(colour.contrast(photo, factor)) - wanted.clip(0, 255)).max() < 1.001


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_saturation_moves_away_from_the_pixels_grey(photo, factor):
    levels = levels_of(photo)
    own = luma(levels)[..., None]
    wanted = own + factor * (levels - own)
    assert np.abs(levels_of(colour.saturation(photo, factor)) - wanted.clip(0, 255)).max() < 1.001


def sharpened(levels: np.ndarray, factor: float) -> np.ndarray:
    """The inner pixels, neither cut off nor wrapped: smooth + factor (level - smooth), smooth rounded."""
    height, width, _ = levels.shape
    around = sum(levels[y : height - 2 + y, x : width - 2 + x] for y in range(3) for x in range(3))
    inner = levels[1:-1, 1:-1]
    smooth = np.rint((around + 4 * inner) / 13)
    return np.trunc(smooth + factor * (inner - smooth))


def test_sharpness_moves_away_from_the_smoothed_picture(photo):
    levels, after = levels_of(photo), levels_of(colour.sharpness(photo, 1.36))
    assert np.abs(after[1:-1, 1:-1] - cut(sharpened(levels, 1.36))).max() <= 1
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert (after[edge] == levels[edge]).all()


def test_the_official_sharpness_wraps_where_ours_cuts_off(photo):
    wanted, as_run = sharpened(levels_of(photo), 1.36), levels_of(colour.sharpness_as_run(photo, 1.36))[1:-1, 1:-1]
    distance = (as_run - wanted.astype(np.int64)) % 256
    assert np.minimum(distance, 256 - distance).max() <= 1
    beyond = (wanted > 257) | (wanted < -2)
    assert beyond.any()
    ours = levels_of(colour.sharpness(photo, 1.36))[1:-1, 1:-1]
    assert np.abs(ours - as_run)[beyond].min() > 100


def test_the_official_autocontrast_whitens_colours_without_black():
    levels = np.zeros((4, 5, 3), np.uint8)
    levels[..., 0] = 10 * np.arange(5)  # holds black
    levels[..., 1] = 7 + 10 * np.arange(5)  # does not
    levels[..., 2] = 9  # flat: left alone
    after = levels_of(colour.autocontrast_as_run(Image.fromarray(levels)))
    assert after[0, :, 0].tolist() == [0, 63, 127, 191, 255]
    assert (after[..., 1] == 255).all() and (after[..., 2] == 9).all()


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.03, 0.1, 0.5])
def test_hue_turns_as_torchvisions_does(photo, turn):
    assert (levels_of(colour.hue(photo, turn)) == levels_of(official.adjust_hue(photo, turn))).all()


def test_hue_turns_the_circle(made):
    turned = levels_of(colour.hue(made, 0.25))
    for y, x in np.random.default_rng(0).integers(0, 90, (60, 2)):
        h, s, v = colorsys.rgb_to_hsv(*(levels_of(made)[y, x] / 255))
        wanted = np.array(colorsys.hsv_to_rgb(h + 63 / 256, s, v)) * 255
        assert np.abs(turned[y, x] - wanted).max() <= 9  # hue, saturation and value are bytes on the way


def test_grey_is_luma_in_all_three(photo):
    assert (levels_of(colour.grey(photo)) == luma(levels_of(photo))[..., None]).all()


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_blur_is_close_to_a_gaussian(photo, sigma):
    exact = gaussian_filter(levels_of(photo).astype(float), (sigma, sigma, 0), mode="nearest")
    distance = np.abs(levels_of(colour.blur(photo, sigma)) - exact)
    unblurred = np.abs(levels_of(photo) - exact)
    assert distance.mean() < 0.15 * unblurred.mean() + 0.5  # three box blurs and rounding, not the exact kernel
