"""One view of a picture: an augmentation applied and the size made sure of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from vlzoo.augment.crop import resized
from vlzoo.data_parts import Augmentation


def make_view(picture: Image, augmentation: Augmentation, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture without texts to a view of it.

    Args:
        picture: decoded, RGB.
        augmentation: of stage `sample`.
        size: side of the view in pixels; what the augmentation gives in another size is resized.
        rng: where all randomness comes from; key it by seed, epoch and sample.

    Returns:
        Levels, [size, size, 3] uint8; `Normalise` makes pixel values of them.
    """
    return _levels(augmentation.image(picture, rng), size)


def make_pair(
    picture: Image, texts: Sequence[str], augmentation: Augmentation, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """As `make_view` for a picture and all the texts that speak of it; a careful flip reads them.

    Returns:
        Levels [size, size, 3] uint8, and the texts in the same order.
    """
    changed, changed_texts = augmentation.pair(picture, texts, rng)
    return _levels(changed, size), changed_texts


def _levels(picture: Image, size: int) -> NDArray[np.uint8]:
    return np.array(picture if picture.size == (size, size) else resized(picture, size))
