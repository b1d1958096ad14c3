"""One view of a picture: an augmentation applied and the size made sure of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from vlzoo.augment.boxes import scaled
from vlzoo.augment.crop import resized
from vlzoo.data_parts import Augmentation, Box
from vlzoo.door.supplier import wrong
from vlzoo.errors import PluginError


def make_view(picture: Image, augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture without texts to a view of it.

    Args:
        picture: decoded, RGB.
        augmentation: what it gives in another size than its `size` is resized.
        rng: where all randomness comes from; key it by seed, epoch and sample.

    Returns:
        Levels, [size, size, 3] uint8; `Normalise` makes pixel values of them.

    Raises:
        PluginError: it gives something else than an RGB picture; names the augmentation and its plugin.
    """
    return _levels(augmentation.image(picture, rng), augmentation, "image")


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

    Raises:
        PluginError: it gives something else than it must; names the augmentation and its plugin.
    """
    given = augmentation.pair(picture, texts, rng, boxes)
    if not isinstance(given, tuple) or len(given) != 3:
        raise _wrong(augmentation, f"gave {given!r:.60}", "pair", "return (picture, texts, boxes)")
    changed, changed_texts, moved = given
    if len(changed_texts) != len(texts) or not all(isinstance(text, str) for text in changed_texts):
        raise _wrong(
            augmentation, f"gave the texts {changed_texts!r:.60}", "pair", f"give {len(texts)}, as it was given"
        )
    if len(moved) != len(boxes):
        raise _wrong(
            augmentation, f"gave {len(moved)} boxes for {len(boxes)}", "pair", "a box outside stays; rows drop it"
        )
    levels_HWC = _levels(changed, augmentation, "pair")
    return levels_HWC, tuple(changed_texts), scaled(moved, changed.size, (augmentation.size, augmentation.size))


def _levels(picture: Any, augmentation: Augmentation, method: str) -> NDArray[np.uint8]:
    size: Any = augmentation.size
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise _wrong(augmentation, f"has the size {size!r}", method, "set `size` to the side of its pictures in pixels")
    if not isinstance(picture, Image):
        kind = f"{type(picture).__module__}.{type(picture).__name__}"
        raise _wrong(augmentation, f"gave a {kind}, not a PIL picture", method, "return a PIL.Image.Image of mode RGB")
    if picture.mode != "RGB":
        raise _wrong(augmentation, f"gave a picture of mode {picture.mode}, not RGB", method, "`.convert('RGB')` it")
    if not all(picture.size):
        what = f"gave a picture of {picture.width}x{picture.height} pixels"
        raise _wrong(augmentation, what, method, "leave a pixel at least")
    return np.array(picture if picture.size == (size, size) else resized(picture, size))


def _wrong(augmentation: Augmentation, what: str, method: str, fix: str) -> PluginError:
    return wrong(augmentation, what, fix=fix, kind="augmentation", method=method)
