"""Where a word's map points, at the map's own resolution: cells, not pixels. Boxes are x, y, width, height in pixels.

`vlzoo.metrics.grounding` has the pixel rules (`pointing_hit`, `energy_in_box`) for maps of a picture's size. A map of a
few patches says nothing finer than a patch; here a box is laid on the patches, and each rule has its chance level.

Legend: h, w rows and columns of the map's cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ABOVE = 0.5
"""A cell counts as covered where the map, stretched to 0..1, is above this."""


@dataclass(frozen=True)
class Pointed:
    """How one map lies to one box; all values are shares, 0..1.

    Attributes:
        touch: the pointing game: 1 where the map's peak cell touches the box. Of equal peaks each counts its share.
        energy: share of the map's positive mass inside the box; 0 for a map without mass.
        coverage: share of the box in cells whose stretched map is above `ABOVE`.
        everywhere: share of the whole picture in such cells: what `coverage` is worth.
        touch_chance: what a peak in a random cell gives for `touch`.
        area: the box's share of the picture: what a constant map gives for `energy`.
    """

    touch: float
    energy: float
    coverage: float
    everywhere: float
    touch_chance: float
    area: float


def box_on_cells(box: ArrayLike, cells: tuple[int, int], size: tuple[int, int]) -> Floats:
    """Share of each cell that lies inside a box, [h, w].

    Args:
        box: x, y, width, height in pixels; what sticks out of the picture is cut.
        cells: rows and columns of the map.
        size: width and height of the picture in pixels.
    """
    x, y, width, height = np.asarray(box, dtype=np.float64)
    across_w = _overlap(x, x + width, cells[1], size[0])
    down_h = _overlap(y, y + height, cells[0], size[1])
    return down_h[:, None] * across_w[None, :]


def _overlap(low: float, high: float, cells: int, length: int) -> Floats:
    """Share of each of `cells` equal parts of [0, length] that lies in [low, high]."""
    edges = np.linspace(0.0, length, cells + 1)
    inside = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    return np.clip(inside, 0.0, None) * cells / length


def union_box(boxes: ArrayLike) -> tuple[float, float, float, float]:
    """The smallest box around several [n, 4]."""
    given = np.asarray(boxes, dtype=np.float64)
    low, high = given[:, :2].min(0), (given[:, :2] + given[:, 2:]).max(0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def point(map_hw: ArrayLike, inside_hw: ArrayLike) -> Pointed:
    """How a map lies to a box that `box_on_cells` laid on its cells.

    The pointing game is that of Zhang et al. 2016, Top-down Neural Attention by Excitation Backprop. They allow the
    peak 15 pixels outside; here it is half a cell to each side, the map's own grain: the peak's cell must touch the
    box. Energy is Wang et al.'s (2020, Score-CAM). Coverage is our reading of "wider and more accurate coverage" in
    Park & Han 2023, who print no measure of it.

    Args:
        map_hw: the word's map, [h, w]; negative values count as none.
        inside_hw: share of each cell inside the box, [h, w].

    Raises:
        ValueError: the two differ in shape, or the box lies outside the picture.
    """
    heat_hw, share_hw = np.maximum(np.asarray(map_hw, dtype=np.float64), 0), np.asarray(inside_hw, dtype=np.float64)
    if heat_hw.shape != share_hw.shape:
        raise ValueError(f"a map of {heat_hw.shape} cells and a box on {share_hw.shape}")
    if not share_hw.any():
        raise ValueError("the box lies outside the picture")
    touched_hw, peak_hw = share_hw > 0, heat_hw == heat_hw.max()
    high_hw = stretched(heat_hw) > ABOVE
    mass = heat_hw.sum()
    return Pointed(
        touch=float(touched_hw[peak_hw].mean()),
        energy=float((heat_hw * share_hw).sum() / mass) if mass > 0 else 0.0,
        coverage=float(share_hw[high_hw].sum() / share_hw.sum()),
        everywhere=float(high_hw.mean()),
        touch_chance=float(touched_hw.mean()),
        area=float(share_hw.mean()),
    )


def stretched(map_hw: ArrayLike) -> Floats:
    """A map's own minimum to 0 and maximum to 1; a constant map becomes zeros."""
    heat_hw = np.asarray(map_hw, dtype=np.float64)
    span = heat_hw.max() - heat_hw.min()
    return (heat_hw - heat_hw.min()) / span if span > 0 else np.zeros_like(heat_hw)
