"""Grounding: boxes that overlap enough, and maps that look at the right place. Boxes are x, y, width, height.

Legend: N boxes; H, W height and width of a picture in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlzoo.errors import UnknownName, did_you_mean

Floats = NDArray[np.float64]

IOU_AT = 0.5
"""A box is right from this overlap on."""

RULES = ("pixel", "continuous")
"""`pixel`: lichengunc/refer's, where a box covers whole pixels. `continuous`: plain area."""


def iou(boxes: ArrayLike, others: ArrayLike, rule: str = "pixel") -> Floats:
    """Intersection over union of boxes and others, [N, 4] each (or one of them [4]), as [N].

    `pixel` is the official rule of lichengunc/refer (and X-VLM, ALBEF): the last pixel is x + w - 1, the overlap is
    counted in pixels inclusively, and boxes that share one pixel's width or less do not overlap. Elsewhere the two
    rules agree. Empty boxes overlap nothing.

    Raises:
        UnknownName: no such rule.
    """
    if rule not in RULES:
        raise UnknownName(f"no rule for boxes called {rule!r}", fix=did_you_mean(rule, RULES))
    a_N4, b_N4 = np.atleast_2d(np.asarray(boxes, dtype=np.float64)), np.atleast_2d(np.asarray(others, dtype=np.float64))
    pixel = 1.0 if rule == "pixel" else 0.0
    low_N2 = np.maximum(a_N4[:, :2], b_N4[:, :2])
    high_N2 = np.minimum(a_N4[:, :2] + a_N4[:, 2:] - pixel, b_N4[:, :2] + b_N4[:, 2:] - pixel)
    meet_N = (low_N2 < high_N2).all(1)
    overlap_N = np.where(meet_N, (high_N2 - low_N2 + pixel).prod(1), 0.0)
    union_N = a_N4[:, 2:].prod(1) + b_N4[:, 2:].prod(1) - overlap_N
    return np.divide(overlap_N, union_N, out=np.zeros_like(overlap_N), where=union_N > 0)


def box_hits(predicted: ArrayLike, truth: ArrayLike, rule: str = "pixel", at: float = IOU_AT) -> NDArray[np.bool_]:
    """True where the predicted box overlaps the true one by at least `at`, [N]."""
    return iou(predicted, truth, rule) >= at


def best_box(map_HW: ArrayLike, boxes_N4: ArrayLike) -> int:
    """Which of the proposed boxes a map means: the largest sum inside / sqrt(area), first of equals.

    ALBEF's and X-VLM's `grounding_eval`: slices of the map by whole numbers, cut towards zero.
    """
    heat, boxes = np.asarray(map_HW, dtype=np.float64), np.asarray(boxes_N4, dtype=np.float64)
    sums = [_inside(heat, box).sum() for box in boxes]
    areas = boxes[:, 2] * boxes[:, 3]
    scores = np.divide(sums, np.sqrt(np.maximum(areas, 0)), out=np.full(len(boxes), -np.inf), where=areas > 0)
    return int(scores.argmax())


def pointing_hit(map_HW: ArrayLike, box: ArrayLike, tolerance: float = 0.0) -> bool:
    """The pointing game (Zhang et al. 2018): whether the map's highest pixel lies in the box.

    Args:
        map_HW: map over the picture, [H, W]; the first of equal highest pixels counts.
        box: x, y, width, height in pixels.
        tolerance: pixels that the point may lie outside; the original paper allows 15, the default none.
    """
    heat = np.asarray(map_HW)
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    return bool(points_in_boxes(np.array([[column + 0.5, row + 0.5]]), np.atleast_2d(box), tolerance)[0])


def points_in_boxes(points: ArrayLike, boxes: ArrayLike, tolerance: float = 0.0) -> NDArray[np.bool_]:
    """True where a point x, y [N, 2] lies in its box [N, 4], edges included, [N]."""
    point_N2, box_N4 = np.asarray(points, dtype=np.float64), np.asarray(boxes, dtype=np.float64)
    low, high = box_N4[:, :2] - tolerance, box_N4[:, :2] + box_N4[:, 2:] + tolerance
    inside_N2: NDArray[np.bool_] = (point_N2 >= low) & (point_N2 <= high)
    return np.logical_and.reduce(inside_N2, axis=1)


def energy_in_box(map_HW: ArrayLike, box: ArrayLike) -> float:
    """Share of a map's energy inside a box, 0..1 (Wang et al. 2020, Score-CAM); 0 for a map without energy.

    Negative values count as none: Grad-CAM keeps only what speaks for the word.
    """
    heat = np.maximum(np.asarray(map_HW, dtype=np.float64), 0)
    total = heat.sum()
    return float(_inside(heat, np.asarray(box, dtype=np.float64)).sum() / total) if total > 0 else 0.0


def _inside(heat_HW: Floats, box: Floats) -> Floats:
    """The part of a map inside a box, corners cut to whole pixels and to the picture."""
    left, top = (max(int(edge), 0) for edge in box[:2])
    right, bottom = (max(int(edge), 0) for edge in box[:2] + box[2:])
    return heat_HW[top:bottom, left:right]
