"""The middle of the picture, its shape kept: how CLIP's pictures are made ready."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image, Resampling

from vlzoo.augment.boxes import cropped, scaled
from vlzoo.augment.checks import whole
from vlzoo.augment.crop import Edges
from vlzoo.data_parts import Augmentation, Box

LONGEST = 20
"""Sides of a picture in its width or height, beyond which its ends are cut off before it is resized: they'd be anyway,
and a picture of one pixel in height would otherwise be made as wide as no memory is."""


class Centre(Augmentation):
    """Resize the shorter side, bicubic, and cut out the middle square (Radford et al. 2021, `clip.py`).

    Where the longer side is cut unevenly, the right or lower edge loses a pixel more, as in transformers.

    >>> picture = Centre(size=24).image(picture, np.random.default_rng(0))
    >>> picture.size
    (24, 24)

    Args:
        size: side of the result in pixels.

    Raises:
        VlzooError: the size can't be.
    """

    def __init__(self, *, size: int = 224) -> None:
        self.size = whole("centre", "size", size)

    def image(self, picture: Image, rng: np.random.Generator) -> Image:
        """The middle of the resized picture; draws nothing."""
        return self._changed(picture, ())[0]

    def pair(
        self, picture: Image, texts: Sequence[str], rng: np.random.Generator, boxes: Sequence[Box] = ()
    ) -> tuple[Image, tuple[str, ...], tuple[Box, ...]]:
        """The middle of the resized picture, its texts as they were, and its boxes moved with it."""
        changed, moved = self._changed(picture, boxes)
        return changed, tuple(texts), moved

    def _changed(self, picture: Image, boxes: Sequence[Box]) -> tuple[Image, tuple[Box, ...]]:
        short = min(picture.size)
        edges = _middle(picture.size, (min(picture.width, LONGEST * short), min(picture.height, LONGEST * short)))
        picture, boxes = picture.crop(edges), cropped(boxes, edges)
        # The longer side is rounded down, as torchvision and transformers do.
        sides = [max(self.size, int(self.size * side / short)) for side in picture.size]
        after = (sides[0], sides[1])
        boxes, picture = scaled(boxes, picture.size, after), picture.resize(after, Resampling.BICUBIC)
        edges = _middle(after, (self.size, self.size))
        return picture.crop(edges), cropped(boxes, edges)


def _middle(before: tuple[int, int], after: tuple[int, int]) -> Edges:
    """The edges of the middle, `after` wide and high, of what is `before`."""
    left, top = ((was - is_) // 2 for was, is_ in zip(before, after, strict=True))
    return left, top, left + after[0], top + after[1]
