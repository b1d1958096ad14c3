"""RandAugment as ALBEF uses it: a few operations drawn with replacement, each applied by chance, at one level.

Cubuk et al. 2020 (arXiv 1909.13719); operations and magnitudes from ALBEF's dataset/randaugment.py, which TCL shares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
from PIL import Image

from vlzoo.augment import colour
from vlzoo.augment.boxes import warped
from vlzoo.augment.checks import number, one_of, whole
from vlzoo.augment.warp import Affine, after, rotation, shift, warp
from vlzoo.data_parts import Box
from vlzoo.errors import VlzooError

TOP_LEVEL = 10
"""The level at which an operation has its full magnitude."""

Operation = Callable[[Image.Image, float], Image.Image]
"""A picture and the level over `TOP_LEVEL`, negative half of the time, to the changed picture."""

_SHEAR = 0.3  # pixels a pixel
_TRANSLATE = 10  # pixels, whatever the picture's size
_ROTATE = 30  # degrees


def _factor(amount: float) -> float:
    """Enhancement factor: 0.1 to 1.9 over the levels, 1.36 at level 7; it has no sign."""
    return abs(amount) * 1.8 + 0.1


def _warp(picture: Image.Image, affine: Affine) -> Image.Image:
    return Image.fromarray(warp(np.asarray(picture), affine))


def _shear(amount: float) -> float:
    return float(np.float32(amount * _SHEAR))  # the official matrix is in single precision


def _pixels(amount: float) -> float:
    return float(np.float32(-amount * _TRANSLATE))


MOVES: Mapping[str, Callable[[float, int, int], Affine]] = {
    "ShearX": lambda amount, *_: (1, _shear(amount), 0, 0, 1, 0),
    "ShearY": lambda amount, *_: (1, 0, 0, _shear(amount), 1, 0),
    "TranslateX": lambda amount, *_: (1, 0, _pixels(amount), 0, 1, 0),
    "TranslateY": lambda amount, *_: (1, 0, 0, 0, 1, _pixels(amount)),
    "Rotate": lambda amount, width, height: rotation(amount * _ROTATE, height, width),
}
"""The operations that move pixels: amount, width and height of the picture -> where its points move to."""


_STILL: Affine = (1, 0, 0, 0, 1, 0)


def _translate(picture: Image.Image, affine: Affine) -> Image.Image:
    right, down = float(affine[2]), float(affine[5])
    if right.is_integer() and down.is_integer():
        return Image.fromarray(shift(np.asarray(picture), int(right), int(down)))
    return _warp(picture, affine)


def _moving(name: str) -> Operation:
    work = _translate if name.startswith("Translate") else _warp
    return lambda picture, amount: work(picture, MOVES[name](amount, *picture.size))


OPERATIONS: Mapping[str, Operation] = {
    "Identity": lambda picture, _: picture,
    "AutoContrast": lambda picture, _: colour.autocontrast(picture),
    "Equalize": lambda picture, _: colour.equalize(picture),
    "Brightness": lambda picture, amount: colour.brightness(picture, _factor(amount)),
    "Sharpness": lambda picture, amount: colour.sharpness(picture, _factor(amount)),
    **{name: _moving(name) for name in MOVES},
}
"""The ten operations of ALBEF's configuration."""

AS_RUN: Mapping[str, Operation] = {
    **OPERATIONS,
    "AutoContrast": lambda picture, _: colour.autocontrast_as_run(picture),
    "Sharpness": lambda picture, amount: colour.sharpness_as_run(picture, _factor(amount)),
}
"""The same with the two accidents of the official code."""

ARITHMETIC: Mapping[str, Mapping[str, Operation]] = {"mended": OPERATIONS, "official": AS_RUN}
"""Operations by the name of their arithmetic."""


class RandAugment:
    """Draws operations and applies them.

    Args:
        ops: names of the operations to draw from, with the chance of each equal.
        draws: how many are drawn, with replacement.
        level: strength of all, 0 to 10.
        chance: probability that a drawn operation is applied.
        arithmetic: `mended`, or `official` with the two accidents of ALBEF's code.
        part: name of the augmentation whose options these are, for error messages.

    Raises:
        UnknownName: no such operation or arithmetic.
        VlzooError: another option has a value that can't be.
    """

    def __init__(
        self,
        *,
        ops: Sequence[str] = tuple(OPERATIONS),
        draws: int = 2,
        level: float = 7,
        chance: float = 0.5,
        arithmetic: str = "mended",
        part: str = "randaugment",
    ) -> None:
        if isinstance(ops, str) or not isinstance(ops, Sequence) or not ops:
            fix = "give a list of names, for instance [Identity, Brightness], or switch randaugment off with false"
            raise VlzooError(
                f"its operations can't be {ops!r}", where=f"augmentation {part}, option randaugment", fix=fix
            )
        self.ops = tuple(one_of(part, "randaugment", name, OPERATIONS) for name in ops)
        self.draws = whole(part, "draws", draws, least=0)
        self.amount = number(part, "level", level, 0, TOP_LEVEL) / TOP_LEVEL
        self.chance = number(part, "chance", chance, 0, 1)
        self.arithmetic = one_of(part, "arithmetic", arithmetic, ARITHMETIC)

    def plan(self, rng: np.random.Generator) -> list[tuple[str, float]]:
        """The operations to apply, in order, with their signed amounts."""
        return [
            (self.ops[index], self.amount if rng.random() < 0.5 else -self.amount)
            for index in rng.integers(len(self.ops), size=self.draws)
            if rng.random() < self.chance
        ]

    def __call__(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """The changed picture, of the same size; all randomness comes from `rng`."""
        return self.pair(picture, (), rng)[0]

    def pair(
        self, picture: Image.Image, boxes: Sequence[Box], rng: np.random.Generator
    ) -> tuple[Image.Image, tuple[Box, ...]]:
        """The changed picture, of the same size, and where the boxes on it lie now (`vlzoo.augment.boxes`)."""
        operations, moves = ARITHMETIC[self.arithmetic], [_STILL]
        for name, amount in self.plan(rng):
            picture = operations[name](picture, amount)
            moves += [MOVES[name](amount, *picture.size)] if name in MOVES else []
        # All moves at once: a box around a turned box around a turned box would be too large.
        return picture, warped(boxes, reduce(after, moves)) if len(moves) > 1 else tuple(boxes)
