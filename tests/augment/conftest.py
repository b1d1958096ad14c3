"""Pictures for the tests: one made by a formula for offline runs, and a photo from COCO."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def formula_levels(height: int, width: int) -> np.ndarray:
    """Integer arithmetic only, so that it is the same picture on every machine; darkest levels 20, 20, 0."""
    y, x, c = np.mgrid[:height, :width, :3]
    return ((x * x * 3 + y * y * 5 + x * y * (c + 1) + 40 * c) // 7 % 216 + 20 * (c < 2)).astype(np.uint8)


def photo_like() -> Image.Image:
    """Shading, edges, texture and noise, 120 x 90."""
    y, x = np.mgrid[:90, :120]
    shade = 90 + 60 * np.sin(x / 17) * np.cos(y / 23)
    disc = 70.0 * ((x - 70) ** 2 + (y - 40) ** 2 < 600)
    noise = np.random.default_rng(7).normal(0, 6, (90, 120, 3))
    levels = np.stack([shade + disc, shade - disc / 2, 0.6 * shade + y], -1) + noise
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


@pytest.fixture(params=["made", "coco"])
def photo(request: pytest.FixtureRequest) -> Image.Image:
    if request.param == "made":
        return photo_like()
    shared: Path = request.getfixturevalue("shared")
    with Image.open(sorted((shared / "data" / "coco_mini" / "images").glob("*.jpg"))[3]) as found:
        return found.convert("RGB")


@pytest.fixture
def made() -> Image.Image:
    return photo_like()


@pytest.fixture
def formula() -> Callable[[int, int], np.ndarray]:
    return formula_levels
