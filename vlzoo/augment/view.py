"""One view of a picture: an augmentation applied and the size made sure of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from vlzoo.augment.boxes import scaled
from vlzoo.augment.crop import resized
from vlzoo.data_parts import Augmentation, Box


def make_view(picture: Image, augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture without texts to a view of it.

    Args:
        picture: decoded, RGB.
        augmentation: what it gives in another size than its `size` is resized.
        rng: where all randomness comes from; key it by seed, epoch and sample.

    Returns:
        Levels, [size, size, 3] uint8; `Normalise` makes pixel values of them.
    """
    return _levels(augmentation.image(picture, rng), augmentation.size)


def make_pair(
    picture: Image,
    texts: Sequence[str],
    augmentation: Augmentation,
    rng: np.random.Generator,
    boxes: Sequence[Box] = (),
) -> tuple[NDArray[np.uint8], tuple[str, ...], tuple[Box, ...]]:
    """As `make_view` for a picture, all the texts that speak of it (a careful flip reads them), and boxes on it.

    Returns:
        Levels [size, size, 3] uint8, the texts in the same order, and the boxes in pixels of the view; they may reach
        beyond it.
    """
    changed, changed_texts, moved = augmentation.pair(picture, texts, rng, boxes)
    size = augmentation.size
    return _levels(changed, size), changed_texts, scaled(moved, changed.size, (size, size))


def _levels(picture: Image, size: int) -> NDArray[np.uint8]:
    return np.array(picture if picture.size == (size, size) else resized(picture, size))
