"""The picture as it is, at the encoder's size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from vlzoo.augment.boxes import scaled
from vlzoo.augment.checks import whole
from vlzoo.augment.crop import resized
from vlzoo.data_parts import Augmentation, Box


class Plain(Augmentation):
    """Resize the whole picture to a square, bicubic, aspect not kept: ALBEF's evaluation (dataset/__init__.py).

    Args:
        size: side of the result in pixels.

    Raises:
        VlzooError: the size can't be.
    """

    def __init__(self, *, size: int = 256) -> None:
        self.size = whole("plain", "size", size)

    def image(self, picture: Image, rng: np.random.Generator) -> Image:
        """The resized picture; draws nothing."""
        return resized(picture, self.size)

    def pair(
        self, picture: Image, texts: Sequence[str], rng: np.random.Generator, boxes: Sequence[Box] = ()
    ) -> tuple[Image, tuple[str, ...], tuple[Box, ...]]:
        """The resized picture, its texts as they were, and its boxes resized with it."""
        changed = resized(picture, self.size)
        return changed, tuple(texts), scaled(boxes, picture.size, changed.size)
