"""How X-VLM changes a picture with regions: a crop that holds one box whole, a flip, other colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from vlzoo.augment.boxes import cropped, flipped, inside, scaled
from vlzoo.augment.crop import Edges, resized
from vlzoo.augment.randaugment import MOVES, OPERATIONS
from vlzoo.augment.weak import Weak, names_a_side
from vlzoo.data_parts import Box

STILL = tuple(name for name in OPERATIONS if name not in MOVES)
"""RandAugment's operations that leave every pixel where it is."""


class AroundBox(Weak):
    """Crop around a random box, horizontal flip, RandAugment of colours (X-VLM dataset/pretrain_dataset.py).

    The crop's edges are drawn uniformly between the box and the picture's own. A picture without boxes is not cropped.

    Args:
        size: side of the result in pixels.
        flip: probability of a horizontal flip.
        careful_flip: never flip where a text holds "left" or "right".
        randaugment: True for the operations that move no pixels, False for none, or a list of operations.
        draws: how many operations are drawn.
        level: strength of the operations, 0 to 10.
        arithmetic: `mended`, or `official` with the two accidents of the official code.

    Raises:
        UnknownName: no such operation or arithmetic.
        VlzooError: another option has a value that can't be.
    """

    name = "around_box"

    def __init__(
        self,
        *,
        size: int = 224,
        flip: float = 0.5,
        careful_flip: bool = False,
        randaugment: bool | Sequence[str] = True,
        draws: int = 2,
        level: float = 7,
        arithmetic: str = "mended",
    ) -> None:
        super().__init__(
            size=size,
            scale=None,
            flip=flip,
            careful_flip=careful_flip,
            randaugment=STILL if randaugment is True else randaugment,
            draws=draws,
            level=level,
            arithmetic=arithmetic,
        )

    def image(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """The changed picture, [size, size], not cropped."""
        return self.pair(picture, (), rng)[0]

    def pair(
        self, picture: Image.Image, texts: Sequence[str], rng: np.random.Generator, boxes: Sequence[Box] = ()
    ) -> tuple[Image.Image, tuple[str, ...], tuple[Box, ...]]:
        """The changed picture with its texts as they were, and where the boxes on it lie now."""
        edges = edges_around(boxes, picture.size, rng)
        picture, boxes = picture.crop(edges), cropped(boxes, edges)
        flips = rng.random() < self.flip  # drawn in any case: the text must not change the operations after it
        if flips and not (self.careful_flip and names_a_side(texts)):
            picture, boxes = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), flipped(boxes, picture.width)
        changed = resized(picture, self.size)
        moved = scaled(boxes, picture.size, changed.size)
        if self.randaugment:
            changed, moved = self.randaugment.pair(changed, moved, rng)
        return changed, tuple(texts), moved


def edges_around(boxes: Sequence[Box], size: tuple[int, int], rng: np.random.Generator) -> Edges:
    """Edges of a random crop that holds, whole, what a picture of `size` shows of a random box; of all without one."""
    shown = [part for part in (inside(box, *size)[0] for box in boxes) if part[2] > 0 and part[3] > 0]
    if not shown:
        return 0, 0, *size
    x, y, width, height = shown[int(rng.integers(len(shown)))]
    left, top = (int(rng.integers(math.floor(low) + 1)) for low in (x, y))
    ends = ((math.ceil(low + length), most) for low, length, most in ((x, width, size[0]), (y, height, size[1])))
    right, bottom = (int(rng.integers(min(end, most), most + 1)) for end, most in ends)
    return left, top, right, bottom
