"""TCL's training augmentation: colour, grey and blur between ALBEF's crop and flip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from vlzoo.augment import colour
from vlzoo.augment.checks import number, numbers_of, span
from vlzoo.augment.weak import Weak


class Strong(Weak):
    """Crop, colour jitter, grey, blur, flip, RandAugment, in this order (TCL dataset/__init__.py).

    Args:
        size: side of the result in pixels.
        scale: smallest and largest share of the picture's area in the crop; None takes the whole picture.
        ratio: smallest and largest width over height of the crop.
        jitter: largest change of brightness, contrast, saturation (shares) and hue (share of the circle).
        jitter_chance: probability of the colour jitter.
        grey: probability of losing all colour.
        blur: probability of a Gaussian blur.
        sigma: smallest and largest standard deviation of the blur in pixels.
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

    name = "strong"

    def __init__(
        self,
        *,
        size: int = 256,
        scale: tuple[float, float] | None = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1),
        jitter_chance: float = 0.8,
        grey: float = 0.2,
        blur: float = 0.5,
        sigma: tuple[float, float] = (0.1, 2.0),
        flip: float = 0.5,
        careful_flip: bool = False,
        randaugment: bool | Sequence[str] = True,
        draws: int = 2,
        level: float = 7,
        arithmetic: str = "mended",
    ) -> None:
        super().__init__(
            size=size,
            scale=scale,
            ratio=ratio,
            flip=flip,
            careful_flip=careful_flip,
            randaugment=randaugment,
            draws=draws,
            level=level,
            arithmetic=arithmetic,
        )
        self.jitter = numbers_of(self.name, "jitter", jitter, 4)
        for value, most in zip(self.jitter, (1, 1, 1, 0.5), strict=True):
            number(self.name, "jitter", value, 0, most)
        self.jitter_chance = number(self.name, "jitter_chance", jitter_chance, 0, 1)
        self.grey = number(self.name, "grey", grey, 0, 1)
        self.blur = number(self.name, "blur", blur, 0, 1)
        self.sigma = span(self.name, "sigma", sigma, 0, float("inf"))

    def colours(self, picture: Image, rng: np.random.Generator) -> Image:
        """Jitter, grey and blur, each by its own chance."""
        if rng.random() < self.jitter_chance:
            picture = jittered(picture, self.jitter, rng)
        if rng.random() < self.grey:
            picture = colour.grey(picture)
        if rng.random() < self.blur:
            picture = colour.blur(picture, rng.uniform(*self.sigma))
        return picture


def jittered(picture: Image, most: Sequence[float], rng: np.random.Generator) -> Image:
    """Brightness, contrast, saturation and hue changed in random order (torchvision's ColorJitter).

    Args:
        picture: an RGB picture.
        most: largest change of each; factors are uniform in 1 - m to 1 + m, the turn of hue in -m to m.
        rng: where all randomness comes from.
    """
    changes = (colour.brightness, colour.contrast, colour.saturation, colour.hue)
    middle = (1.0, 1.0, 1.0, 0.0)
    for index in rng.permutation(len(changes)):
        if most[index] > 0:
            picture = changes[index](picture, middle[index] + rng.uniform(-most[index], most[index]))
    return picture
