"""Maps on pictures: the arithmetic of colours, in numpy.

Legend: H picture rows, W picture columns, P patch rows and columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vlzoo.types import Box

Levels = NDArray[np.uint8]
Floats = NDArray[np.float32]

BLUR = 0.02
"""Sigma of the blur as a share of the picture's longer side (ALBEF `visualization.ipynb`)."""

POWER = 0.7
"""Opacity is the map to this power (ALBEF `visualization.ipynb`)."""

LONGEST = 480
"""Longer side, in pixels, of a picture in a drawing."""


def fit(picture: Levels, longest: int = LONGEST) -> Levels:
    """The picture with its longer side at `longest` pixels, aspect kept; small ones grow."""
    scale = longest / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def stretch(map_: Floats) -> Floats:
    """Minimum to 0, maximum to 1; a flat map to zeros."""
    low, span = map_.min(), np.ptp(map_)
    return ((map_ - low) / span).astype(np.float32) if span > 0 else np.zeros_like(map_, dtype=np.float32)


def smooth(map_PP: Floats, shape: tuple[int, int]) -> Floats:
    """A map at a picture's size [H, W] in [0, 1]: stretched, resized by cubics, blurred, stretched again."""
    from scipy.ndimage import gaussian_filter

    resized = Image.fromarray(stretch(map_PP)).resize(shape[::-1], Image.Resampling.BICUBIC)
    return stretch(gaussian_filter(np.asarray(resized), BLUR * max(shape)))


def overlay(picture: Levels, map_PP: Floats) -> Levels:
    """The picture under its map in jet colours: `(1 - a^0.7) picture + a^0.7 colour`, [H, W, 3]."""
    from matplotlib import colormaps

    height, width = picture.shape[:2]
    map_HW = smooth(map_PP, (height, width))
    opacity_HW1 = map_HW[..., None] ** POWER
    colour_HW3 = colormaps["jet"](map_HW)[..., :3] * 255.0
    return _levels((1 - opacity_HW1) * picture + opacity_HW1 * colour_HW3)


def cells(picture: Levels, map_PP: Floats) -> Levels:
    """The map's own patches, unsmoothed, over the picture in grey: what the model computed, [H, W, 3]."""
    from matplotlib import colormaps

    grey_HW3 = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    colour_HW3 = colormaps["viridis"](blocks(stretch(map_PP), picture.shape[:2]))[..., :3] * 255.0
    return _levels(0.4 * grey_HW3 + 0.6 * colour_HW3)


STYLES = {"overlay": overlay, "cells": cells}
"""How a map is laid on its picture, by name."""


def shade(weight_PP: Floats, shape: tuple[int, int]) -> Levels:
    """Weights as grey patches, [H, W, 3]: white is kept, black is hidden."""
    return _levels(np.repeat(blocks(weight_PP, shape)[..., None] * 255.0, 3, axis=2))


def masked(picture: Levels, weight_PP: Floats) -> Levels:
    """The picture with its patches darkened by their weights, [H, W, 3].

    A likeness: the model scales token vectors, not pixels.
    """
    return _levels(picture * blocks(weight_PP, picture.shape[:2])[..., None])


def outlined(
    picture: Levels, box: Box, scale: tuple[float, float], colour: tuple[int, int, int], *, width: int
) -> Levels:
    """The picture with the outline of a box, edged in white so that it is seen on any colour, [H, W, 3].

    Args:
        picture: levels.
        box: x, y, width, height in pixels of the stored picture; what lies beyond the edge is not seen.
        scale: how many pixels of `picture` one of the stored picture has, across and down.
        colour: red, green, blue.
        width: of the line, in pixels of `picture`.
    """
    drawn, (x, y, across, down) = Image.fromarray(picture), box
    edges = [x * scale[0], y * scale[1], (x + across) * scale[0], (y + down) * scale[1]]
    pen, half = ImageDraw.Draw(drawn), width / 2
    for tone, more in (((255, 255, 255), 1.0), (colour, 0.0)):
        reach = half + more
        corners = [edges[0] - reach, edges[1] - reach, edges[2] + reach, edges[3] + reach]
        pen.rectangle(corners, outline=tone, width=round(2 * reach))
    return np.asarray(drawn)


def blocks(map_PP: Floats, shape: tuple[int, int]) -> Floats:
    """A map at a picture's size [H, W], each patch one value."""
    rows = np.arange(shape[0]) * map_PP.shape[0] // shape[0]
    columns = np.arange(shape[1]) * map_PP.shape[1] // shape[1]
    return map_PP[rows[:, None], columns[None, :]]


def peak(map_PP: Floats) -> tuple[int, int]:
    """Row and column of the largest value; the first of equals."""
    row, column = np.unravel_index(int(np.argmax(map_PP)), map_PP.shape)
    return int(row), int(column)


def _levels(values: NDArray[np.floating]) -> Levels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
