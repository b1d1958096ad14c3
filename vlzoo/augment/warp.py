"""Affine changes of a picture with bilinear sampling, in OpenCV's fixed-point arithmetic, without OpenCV.

ALBEF's RandAugment moves pixels with `warpAffine`, which rounds source coordinates to 1/32 pixel; a sampler in
floating point differs from it by several grey levels at edges. This one gives the same bytes as OpenCV 4.5 to 4.10.

Legend: H rows, W columns, C = 3 colours. Pictures are uint8 arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FILL = 128
"""Grey level of what lies outside the picture, `replace_value` in ALBEF's dataset/randaugment.py."""

_COORD_BITS = 10  # coordinates are summed in 1/1024 pixel
_STEP_BITS = 5  # and then rounded to 1/32 pixel
_STEPS = 1 << _STEP_BITS
_LANE_BITS = 20  # one colour needs 8 bits + 10 bits of weight; three of them share a 64-bit number

Affine = Sequence[float]
"""Six numbers a, b, c, d, e, f: the point (x, y) moves to (a x + b y + c, d x + e y + f)."""


def warp(picture_HWC: NDArray[np.uint8], affine: Affine, fill: int = FILL) -> NDArray[np.uint8]:
    """Move every point of a picture by `affine`; the size stays, the outside is `fill`.

    Args:
        picture_HWC: the picture, [H, W, 3] uint8.
        affine: where points move to, in pixels from the centre of the top left pixel.
        fill: grey level outside the picture, blended in at its border.

    Returns:
        The moved picture, [H, W, 3] uint8.
    """
    height, width, _ = picture_HWC.shape
    x_HW, y_HW = _sources(_inverse(affine), height, width)
    lanes = _framed(picture_HWC, fill)
    corner_HW = _first(x_HW, width) + (width + 2) * _first(y_HW, height)
    right_HW, down_HW = x_HW & (_STEPS - 1), y_HW & (_STEPS - 1)
    mixed_HW = _between(lanes, corner_HW, right_HW) * (_STEPS - down_HW)
    mixed_HW += _between(lanes, corner_HW + (width + 2), right_HW) * down_HW
    mixed_HW[_outside(x_HW, width) | _outside(y_HW, height)] = _same(fill) << (2 * _STEP_BITS)
    return _unpacked(mixed_HW)


def shift(picture_HWC: NDArray[np.uint8], right: int = 0, down: int = 0, fill: int = FILL) -> NDArray[np.uint8]:
    """Move a picture [H, W, 3] by whole pixels; what `warp` gives for a translation, sooner."""
    height, width, _ = picture_HWC.shape
    moved = np.full_like(picture_HWC, fill)
    if abs(right) < width and abs(down) < height:
        to_y, from_y = _overlap(down, height)
        to_x, from_x = _overlap(right, width)
        moved[to_y, to_x] = picture_HWC[from_y, from_x]
    return moved


def rotation(degrees: float, height: int, width: int) -> Affine:
    """Turn counter-clockwise about (W / 2, H / 2), half a pixel off the true centre, as ALBEF does."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = width / 2, height / 2
    return (cos, sin, (1 - cos) * x - sin * y, -sin, cos, sin * x + (1 - cos) * y)


def _inverse(affine: Affine) -> Affine:
    a, b, c, d, e, f = affine
    scale = 1 / (a * e - b * d)
    a, b, d, e = e * scale, -b * scale, -d * scale, a * scale
    return (a, b, -a * c - b * f, d, e, -d * c - e * f)


def _sources(inverse: Affine, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each target pixel [H, W] comes from, in 1/32 pixel, rounded in OpenCV's order."""
    a, b, c, d, e, f = inverse
    x_W, y_H = np.arange(width), np.arange(height)[:, None]
    return _in_steps(a * x_W, b * y_H + c), _in_steps(d * x_W, e * y_H + f)


def _in_steps(along_row_W: NDArray[np.floating], at_row_H1: NDArray[np.floating]) -> NDArray[np.int64]:
    one = 1 << _COORD_BITS
    half = one // _STEPS // 2
    fine_HW = np.rint(along_row_W * one).astype(np.int64) + (np.rint(at_row_H1 * one).astype(np.int64) + half)
    return fine_HW >> (_COORD_BITS - _STEP_BITS)


def _framed(picture_HWC: NDArray[np.uint8], fill: int) -> NDArray[np.int64]:
    """The picture with a frame one pixel wide, three colours packed in each number, flat [(H + 2) (W + 2)]."""
    height, width, _ = picture_HWC.shape
    framed = np.full((height + 2, width + 2), _same(fill), np.int64)
    inner_HW = framed[1:-1, 1:-1]
    inner_HW[:] = picture_HWC[..., 2]
    for colour in (1, 0):
        inner_HW <<= _LANE_BITS
        inner_HW |= picture_HWC[..., colour]
    return framed.ravel()


def _same(level: int) -> int:
    """A packed number with `level` in each of its three lanes."""
    return level | level << _LANE_BITS | level << (2 * _LANE_BITS)


def _first(steps_HW: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Where the first of two neighbours lies in the framed picture; what is wholly outside is filled later."""
    return np.clip((steps_HW >> _STEP_BITS) + 1, 0, size)


def _outside(steps_HW: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    return (steps_HW < -_STEPS) | (steps_HW >= size * _STEPS)


def _between(lanes: NDArray[np.int64], first_HW: NDArray[np.int64], right_HW: NDArray[np.int64]) -> NDArray[np.int64]:
    """The mixture of a pixel and its right neighbour, times `_STEPS`."""
    left_HW = lanes.take(first_HW)
    return left_HW * _STEPS + (lanes.take(first_HW + 1) - left_HW) * right_HW


def _unpacked(mixed_HW: NDArray[np.int64]) -> NDArray[np.uint8]:
    bits = 2 * _STEP_BITS
    mixed_HW += _same(1 << (bits - 1))
    levels_HWC = np.empty((*mixed_HW.shape, 3), np.uint8)
    for colour in range(3):
        levels_HWC[..., colour] = mixed_HW >> (colour * _LANE_BITS + bits)  # the cast keeps the lowest 8 bits
    return levels_HWC


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size - max(by, 0))
