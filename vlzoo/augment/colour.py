"""Changes of colour and sharpness of RGB pictures.

Pillow's operations are the official arithmetic: torchvision runs them for TCL, and ALBEF's own autocontrast, equalize,
brightness and sharpness give the same bytes, but for the two accidents in `autocontrast_as_run`, `sharpness_as_run`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

autocontrast: Callable[[Image.Image], Image.Image] = ImageOps.autocontrast
"""Each colour stretched to the whole range 0 to 255."""

equalize: Callable[[Image.Image], Image.Image] = ImageOps.equalize
"""Each colour's levels spread so that they occur about equally often."""


def brightness(picture: Image.Image, factor: float) -> Image.Image:
    """Every level times `factor`, cut off at 255."""
    return ImageEnhance.Brightness(picture).enhance(factor)


def contrast(picture: Image.Image, factor: float) -> Image.Image:
    """Every level's distance from the mean grey times `factor`."""
    return ImageEnhance.Contrast(picture).enhance(factor)


def saturation(picture: Image.Image, factor: float) -> Image.Image:
    """Every level's distance from the pixel's own grey times `factor`."""
    return ImageEnhance.Color(picture).enhance(factor)


def sharpness(picture: Image.Image, factor: float) -> Image.Image:
    """Every level's distance from the smoothed picture times `factor`; the outermost pixels stay."""
    return ImageEnhance.Sharpness(picture).enhance(factor)


def hue(picture: Image.Image, turn: float) -> Image.Image:
    """Hues turned by a share `turn` of the circle, -0.5 to 0.5, in whole steps of 1/256, as torchvision does."""
    steps = int(turn * 255)
    hues, saturations, values = picture.convert("HSV").split()
    turned = hues.point([(level + steps) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturations, values)).convert("RGB")


def grey(picture: Image.Image) -> Image.Image:
    """Without colour, still in three channels: luma of ITU-R 601-2."""
    return picture.convert("L").convert("RGB")


def blur(picture: Image.Image, sigma: float) -> Image.Image:
    """Gaussian blur of `sigma` pixels (Pillow's, three box blurs in a row), as in TCL."""
    return picture.filter(ImageFilter.GaussianBlur(radius=sigma))


def autocontrast_as_run(picture: Image.Image) -> Image.Image:
    """Autocontrast as ALBEF's code runs: a colour whose darkest level is above 0 becomes 255 everywhere.

    Its offset negates an unsigned byte, which gives 256 - low instead of -low (dataset/randaugment.py).
    """
    levels = np.asarray(autocontrast(picture)).copy()
    before = np.asarray(picture)
    low_C, high_C = before.min((0, 1)), before.max((0, 1))
    levels[..., (low_C > 0) & (high_C > low_C)] = 255
    return Image.fromarray(levels)


def sharpness_as_run(picture: Image.Image, factor: float) -> Image.Image:
    """Sharpness as ALBEF's code runs: levels above 255 or below 0 wrap around modulo 256 instead of being cut off.

    Its last line casts to unsigned bytes without clipping (dataset/randaugment.py).
    """
    before = np.asarray(picture)
    smooth = np.asarray(picture.filter(ImageFilter.SMOOTH)).astype(np.float32)
    sharp = smooth + np.float32(factor) * (before - smooth)
    levels = sharp.astype(np.int32).astype(np.uint8)
    return Image.fromarray(_border_of(before, levels))


def _border_of(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    mixed = outer.copy()
    mixed[1:-1, 1:-1] = inner[1:-1, 1:-1]
    return mixed
