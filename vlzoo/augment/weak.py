"""ALBEF's training augmentation: crop, flip, RandAugment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from vlzoo.augment.boxes import cropped, flipped, scaled
from vlzoo.augment.checks import number, span, switch, whole
from vlzoo.augment.crop import crop_box, resized
from vlzoo.augment.randaugment import OPERATIONS, RandAugment
from vlzoo.data_parts import Augmentation, Box

_SIDES = ("left", "right")


class Weak(Augmentation):
    """Random crop, horizontal flip, RandAugment: ALBEF's, also X-VLM's (ALBEF dataset/__init__.py).

    Args:
        size: side of the result in pixels.
        scale: smallest and largest share of the picture's area in the crop; None takes the whole picture.
        ratio: smallest and largest width over height of the crop.
        flip: probability of a horizontal flip.
        careful_flip: never flip where a text holds "left" or "right", as X-VLM does for VQA; needs `pair`.
        randaugment: True for the ten operations of ALBEF, False for none, or a list of operations.
        draws: how many operations are drawn.
        level: strength of the operations, 0 to 10.
        arithmetic: `mended`, or `official` with the two accidents of ALBEF's code.

    Raises:
        UnknownName: no such operation or arithmetic.
        VlzooError: another option has a value that can't be.
    """

    name = "weak"

    def __init__(
        self,
        *,
        size: int = 256,
        scale: tuple[float, float] | None = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        careful_flip: bool = False,
        randaugment: bool | Sequence[str] = True,
        draws: int = 2,
        level: float = 7,
        arithmetic: str = "mended",
    ) -> None:
        self.size = whole(self.name, "size", size)
        self.scale = None if scale is None else span(self.name, "scale", scale, 0, 1)
        self.ratio = span(self.name, "ratio", ratio, 0, float("inf"))
        self.flip = number(self.name, "flip", flip, 0, 1)
        self.careful_flip = switch(self.name, "careful_flip", careful_flip)
        ops = tuple(OPERATIONS) if isinstance(randaugment, bool) else randaugment
        chosen = RandAugment(ops=ops, draws=draws, level=level, arithmetic=arithmetic, part=self.name)
        self.randaugment = None if randaugment is False else chosen

    def image(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """The changed picture, [size, size]. It knows no texts, so a careful flip is a blind one here."""
        return self._change(picture, (), rng, may_flip=True)[0]

    def pair(
        self, picture: Image.Image, texts: Sequence[str], rng: np.random.Generator, boxes: Sequence[Box] = ()
    ) -> tuple[Image.Image, tuple[str, ...], tuple[Box, ...]]:
        """The changed picture with its texts as they were, and where the boxes on it lie now."""
        may_flip = not (self.careful_flip and names_a_side(texts))
        changed, moved = self._change(picture, boxes, rng, may_flip=may_flip)
        return changed, tuple(texts), moved

    def colours(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """What happens between crop and flip: nothing here."""
        return picture

    def _change(
        self, picture: Image.Image, boxes: Sequence[Box], rng: np.random.Generator, *, may_flip: bool
    ) -> tuple[Image.Image, tuple[Box, ...]]:
        if self.scale is not None:
            edges = crop_box(*picture.size, self.scale, self.ratio, rng)
            picture, boxes = picture.crop(edges), cropped(boxes, edges)
        boxes = scaled(boxes, picture.size, (self.size, self.size))
        picture = self.colours(resized(picture, self.size), rng)
        flips = rng.random() < self.flip  # drawn in any case: the text must not change the operations after it
        if flips and may_flip:
            picture, boxes = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), flipped(boxes, self.size)
        return self.randaugment.pair(picture, boxes, rng) if self.randaugment else (picture, boxes)


def names_a_side(texts: Sequence[str]) -> bool:
    """Whether a text holds "left" or "right", inside other words too ("leftmost"), as in X-VLM."""
    return any(side in text.lower() for text in texts for side in _SIDES)
