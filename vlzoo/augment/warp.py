"""Affine changes of a picture with bilinear sampling, in OpenCV's fixed-point arithmetic, without OpenCV.

ALBEF's RandAugment moves pixels with `warpAffine`, which rounds source coordinates to 1/32 pixel; a sampler in
floating point differs from it by several grey levels at edges. This one gives the same bytes as OpenCV 4.5 to 4.10.

Legend: H rows, h rows of one band, W columns, C = 3 colours. Pictures are uint8 arrays.
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
_BAND = 16384  # pixels worked on at once: their numbers stay in the cache and the allocator's pool
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
    lanes = _pad(picture_HWC, fill)
    inverse = _inverse(affine)
    warped_HWC = np.empty_like(picture_HWC, order="C")
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        band = warped_HWC[top : top + rows]
        x_hW, y_hW = _sources(inverse, np.arange(top, top + len(band)), width)
        _unpack(_sampled(lanes, x_hW, y_hW, height, width, fill), band)
    return warped_HWC


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


def after(first: Affine, then: Affine) -> Affine:
    """Where points go that are moved by one, then by another."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (p * a + q * d, p * b + q * e, p * c + q * f + r, s * a + t * d, s * b + t * e, s * c + t * f + u)


def _inverse(affine: Affine) -> Affine:
    a, b, c, d, e, f = affine
    scale = 1 / (a * e - b * d)
    a, b, d, e = e * scale, -b * scale, -d * scale, a * scale
    return (a, b, -a * c - b * f, d, e, -d * c - e * f)


def _sources(inverse: Affine, y_h: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each target pixel of the rows `y_h` comes from, [h, W], in 1/32 pixel, rounded in OpenCV's order."""
    a, b, c, d, e, f = inverse
    x_W, y_h1 = np.arange(width), y_h[:, None]
    return _in_steps(a * x_W, b * y_h1 + c), _in_steps(d * x_W, e * y_h1 + f)


def _sampled(
    lanes: NDArray[np.int64], x_hW: NDArray[np.int64], y_hW: NDArray[np.int64], height: int, width: int, fill: int
) -> NDArray[np.int64]:
    """Packed colours times 1024 at the places `x_hW`, `y_hW`."""
    corner_hW = _first(x_hW, width) + (width + 2) * _first(y_hW, height)
    right_hW, down_hW = x_hW & (_STEPS - 1), y_hW & (_STEPS - 1)
    mixed_hW = _between(lanes, corner_hW, right_hW) * (_STEPS - down_hW)
    mixed_hW += _between(lanes, corner_hW + (width + 2), right_hW) * down_hW
    mixed_hW[_outside(x_hW, width) | _outside(y_hW, height)] = _same(fill) << (2 * _STEP_BITS)
    return mixed_hW


def _in_steps(along_row_W: NDArray[np.floating], at_row_h1: NDArray[np.floating]) -> NDArray[np.int64]:
    one = 1 << _COORD_BITS
    half = one // _STEPS // 2
    fine_hW = np.rint(along_row_W * one).astype(np.int64) + (np.rint(at_row_h1 * one).astype(np.int64) + half)
    return fine_hW >> (_COORD_BITS - _STEP_BITS)


def _pad(picture_HWC: NDArray[np.uint8], fill: int) -> NDArray[np.int64]:
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


def _first(steps_hW: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Where the first of two neighbours lies in the framed picture; what is wholly outside is filled later."""
    return np.clip((steps_hW >> _STEP_BITS) + 1, 0, size)


def _outside(steps_hW: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    return (steps_hW < -_STEPS) | (steps_hW >= size * _STEPS)


def _between(lanes: NDArray[np.int64], first_hW: NDArray[np.int64], right_hW: NDArray[np.int64]) -> NDArray[np.int64]:
    """The mixture of a pixel and its right neighbour, times `_STEPS`."""
    left_hW = lanes.take(first_hW)
    return left_hW * _STEPS + (lanes.take(first_hW + 1) - left_hW) * right_hW


def _unpack(mixed_hW: NDArray[np.int64], into_hWC: NDArray[np.uint8]) -> None:
    bits = 2 * _STEP_BITS
    mixed_hW += _same(1 << (bits - 1))
    for colour in range(3):
        into_hWC[..., colour] = mixed_hW >> (colour * _LANE_BITS + bits)  # the cast keeps the lowest 8 bits


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size - max(by, 0))
