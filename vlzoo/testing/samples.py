"""A data source of a few drawn pictures with all that a sample may hold: what contract checks make rows of."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from vlzoo.data.features import Detected, Features
from vlzoo.data.images import BytesImage
from vlzoo.data.records import Region, Sample, Shown
from vlzoo.data_parts import Pairing
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.text.vocabulary import SPECIAL

SIZES = ((48, 40), (40, 48), (33, 20), (24, 24), (64, 31), (20, 61))
"""Width and height of the pictures; no two are alike."""

COLOURS = ("red", "blue", "green")
SHAPES = ("ball", "box")
WIDTH = 12
"""F of the features that each picture has beside it."""

WORDS = (*COLOURS, *SHAPES, "a", "the", "left", "of", "is", "what", "colour", "on", "and", "yes", "no")


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """A picture of noise, mode RGB."""
    levels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(levels)


def detected(number: int) -> Detected:
    """A picture with two regions of features beside it."""
    sink = io.BytesIO()
    picture(SIZES[number % len(SIZES)], number).save(sink, "PNG")
    rng = np.random.default_rng(number)
    boxes = np.array([[0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 1.0, 1.0]], np.float32)
    held = rng.random((2, WIDTH), dtype=np.float32)
    regions = Features(held, boxes, SHAPES, np.array([0.9, 0.4], np.float32), SIZES[number % len(SIZES)])
    return Detected(BytesImage(f"picture {number}", sink.getvalue()), regions)


def sample(number: int) -> Sample:
    """A sample with two texts, boxes, annotators' answers, a class and a group."""
    colour, shape = COLOURS[number % 3], SHAPES[number % 2]
    width, height = SIZES[number % len(SIZES)]
    return Sample(
        name=f"sample-{number}",
        images=(detected(number),),
        texts=(f"a {colour} {shape}", f"the {shape} on the left is {colour}"),
        image_id=f"picture-{number}",
        regions=(
            Region((0.0, 0.0, width / 2, height / 2), f"{colour} {shape}", "phrase"),
            Region((width / 4, height / 4, width / 2, height / 2), f"the {shape}", "phrase"),
        ),
        answers=(colour, colour, "no"),
        label=("yes", "no")[number % 2],
        group=f"group {number % 3}",
        fields={"question_type": "what colour", "answer_type": "other"},
    )


@dataclass
class Drawn:
    """A source of such samples. It pickles.

    >>> len(Drawn()), Drawn()[1].texts[0]
    (6, 'a blue box')

    Attributes:
        count: of samples.
        pairing: what a sample holds.
        asks: whether its texts are questions, with annotators' answers.
    """

    count: int = 6
    pairing: Pairing = "pair"
    asks: bool = False
    name: str = "drawn/test"
    licence: str = "CC0"

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        made = sample(index) if self.asks else replace(sample(index), answers=(), fields={})
        if self.pairing == "text":
            return replace(made, images=(), regions=(), image_id=None)
        return replace(made, texts=()) if self.pairing == "image" else made

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(self.count))

    def fingerprint(self) -> str:
        """Equal for equal sources."""
        return f"drawn-{self.count}-{self.pairing}"


def shown(number: int) -> Shown:
    """A picture as a detector is given it."""
    made = sample(number)
    return Shown("drawn", str(made.image_id), made.images[0], made.regions)


def tokenizer(max_length: int = 12) -> Tokenizer:
    """One that knows every word of the samples."""
    return Tokenizer([*SPECIAL.values(), *WORDS], max_length=max_length)
