"""Where boxes lie after their picture was changed. A box is x, y, width, height in pixels, its edges between pixels.

A box may reach beyond its picture, and keeps doing so: what is done about it is the rows' business (`inside`).
"""

from __future__ import annotations

from collections.abc import Sequence

from vlzoo.augment.crop import Edges
from vlzoo.augment.warp import Affine
from vlzoo.data_parts import Box

Boxes = tuple[Box, ...]


def cropped(boxes: Sequence[Box], edges: Edges) -> Boxes:
    """After the picture was cut at its left, top, right and bottom edge."""
    return tuple((x - edges[0], y - edges[1], width, height) for x, y, width, height in boxes)


def scaled(boxes: Sequence[Box], before: tuple[int, int], after: tuple[int, int]) -> Boxes:
    """After a picture of width and height `before` was resized to `after`."""
    across, down = after[0] / before[0], after[1] / before[1]
    return tuple((x * across, y * down, width * across, height * down) for x, y, width, height in boxes)


def flipped(boxes: Sequence[Box], across: int) -> Boxes:
    """After a picture `across` pixels wide was flipped left to right."""
    return tuple((across - x - width, y, width, height) for x, y, width, height in boxes)


def warped(boxes: Sequence[Box], affine: Affine) -> Boxes:
    """After every point was moved by `affine`: the smallest upright box around the four corners."""
    return tuple(_around(box, affine) for box in boxes)


def _around(box: Box, affine: Affine) -> Box:
    x, y, width, height = box
    a, b, c, d, e, f = affine
    # An affine's pixels are counted from their centres, a box's from their edges.
    corners = [(u - 0.5, v - 0.5) for u in (x, x + width) for v in (y, y + height)]
    across = [a * u + b * v + c + 0.5 for u, v in corners]
    down = [d * u + e * v + f + 0.5 for u, v in corners]
    return min(across), min(down), max(across) - min(across), max(down) - min(down)


def inside(box: Box, width: float, height: float) -> tuple[Box, float]:
    """The part of a box that lies in a picture of a size, and the share of its area that this is.

    >>> inside((-2, 0, 4, 4), 8, 8)
    ((0, 0, 2, 4), 0.5)

    Of a box without an area, or with swapped corners, the share is 0.
    """
    x, y, across, down = box
    left, top = min(max(x, 0), width), min(max(y, 0), height)
    right, bottom = min(max(x + across, 0), width), min(max(y + down, 0), height)
    kept = (left, top, right - left, bottom - top)
    return kept, (kept[2] * kept[3] / (across * down) if across * down > 0 and across > 0 else 0.0)
