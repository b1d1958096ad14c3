"""The picture as it is, at the encoder's size."""

from __future__ import annotations

import numpy as np
from PIL.Image import Image

from vlzoo.augment.checks import whole
from vlzoo.augment.crop import resized
from vlzoo.data_parts import Augmentation


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
