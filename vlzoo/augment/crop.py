"""Random cropping and resizing: the arithmetic of torchvision's RandomResizedCrop, drawing from a numpy generator."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

Span = tuple[float, float]
Edges = tuple[int, int, int, int]
"""Left, top, right and bottom edge in pixels."""

_TRIES = 10


def resized(picture: Image.Image, size: int) -> Image.Image:
    """The whole picture as [size, size], bicubic with antialiasing, whatever its aspect (ALBEF's evaluation)."""
    return picture.resize((size, size), Image.Resampling.BICUBIC)


def crop_box(width: int, height: int, scale: Span, ratio: Span, rng: np.random.Generator) -> Edges:
    """A random box: its area is a share `scale` of the picture's, its width over height within `ratio`.

    The area is drawn uniformly, the ratio uniformly in its logarithm, the place uniformly among those that fit.
    Where ten draws do not fit, it is the largest box in the middle whose ratio is allowed.

    Args:
        width: the picture's, in pixels.
        height: the picture's, in pixels.
        scale: smallest and largest share of the area.
        ratio: smallest and largest width over height.
        rng: where all randomness comes from.
    """
    for _ in range(_TRIES):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        across, down = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < across <= width and 0 < down <= height:
            top = int(rng.integers(height - down + 1))
            left = int(rng.integers(width - across + 1))
            return left, top, left + across, top + down
    return _middle_box(width, height, ratio)


def _middle_box(width: int, height: int, ratio: Span) -> Edges:
    across, down = width, height
    if width / height < ratio[0]:
        down = max(1, round(width / ratio[0]))
    elif width / height > ratio[1]:
        across = max(1, round(height * ratio[1]))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down
