"""What a model says when it is asked.

Legend: I pictures, T texts, E joint size, H and W height and width of a picture in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlzoo.types import Box

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Unit vectors in the joint space.

    Attributes:
        images: [I, E] float32; [E] of a picture that was given by itself; None where no picture was given.
        texts: [T, E] float32, likewise.
    """

    images: Floats | None
    texts: Floats | None


@dataclass(frozen=True)
class Matched:
    """How well pictures and texts fit; of what was given by itself the dimension is left out.

    Attributes:
        logits: of the matching head, class 1: what `retrieval/itm` ranks by, [I, T]; None where the model has no head.
        cosines: of the embeddings: what `retrieval/itc` ranks by, [I, T]; None where the model has no joint space.
    """

    logits: Floats | None
    cosines: Floats | None


@dataclass(frozen=True)
class Answer:
    """An answer to a question.

    Attributes:
        text: the answer.
        score: its log-probability as the model's mode counts it; None where the model tells none.
        mode: `rank`, `generate` or `classify`.
    """

    text: str
    score: float | None
    mode: str


@dataclass(frozen=True)
class Grounded:
    """Where in a picture a text is.

    Attributes:
        box: x, y, width, height in pixels of the picture; None where the model finds places by maps.
        heat: the map over the picture, [H, W] float32; None where the model predicts boxes.
        point: x and y of the middle of the box, or of the map's highest place, in pixels.
    """

    box: Box | None
    heat: Floats | None
    point: tuple[float, float]
