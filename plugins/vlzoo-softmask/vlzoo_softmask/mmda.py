"""Multi-modal data augmentation (MMDA)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL.Image import Image

from vlzoo.augment.strong import Strong
from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.step.plan import Plan

PICTURES, TEXTS, TEACHER_TEXTS = ("strong", "weak"), ("masked", "full"), ("same", "full")


class MMDA(Strong):
    """Both sides of a pair augmented (Park & Han 2023): strong changes of the picture, masked words of the text.

    Picture: random crop, colour distortion, Gaussian blur, RandAugment. Text: words are masked once, and this text is
    the only one that ITC, ITM and MLM read, so that the positive pass of the fusion is computed once where ALBEF needs
    two.

    The paper names the operations; their strengths are TCL's, and the share of masked words is BERT's: our reading.

    Args:
        picture: `strong`, or `weak`: ALBEF's, without colour and blur.
        text: `masked`: one masked text for all objectives, or `full`: masked words for MLM alone, as in ALBEF.
        mask: share of words masked; None: what `mlm` says, else 0.15.
        teacher_text: what the teacher's features are made of: the `same` masked text, or the `full` one (a second
            pass of the teacher's text encoder).
        size: side of the result in pixels.
        scale: smallest and largest share of the picture's area in the crop; None takes the whole picture.
        ratio: smallest and largest width over height of the crop.
        jitter: largest change of brightness, contrast, saturation (shares) and hue (share of the circle).
        jitter_chance: probability of the colour jitter.
        grey: probability of losing all colour.
        blur: probability of a Gaussian blur.
        sigma: smallest and largest standard deviation of the blur in pixels.
        flip: probability of a horizontal flip.
        careful_flip: never flip where a text holds "left" or "right", as X-VLM does for VQA.
        randaugment: True for the ten operations of ALBEF, False for none, or a list of operations.
        draws: how many operations are drawn.
        level: strength of the operations, 0 to 10.
        arithmetic: `mended`, or `official` with the two accidents of ALBEF's code.

    Raises:
        UnknownName: no such operation or arithmetic.
        VlzooError: another option has a value that can't be.
    """

    name = "mmda"

    def __init__(
        self,
        *,
        picture: Literal["strong", "weak"] = "strong",
        text: Literal["masked", "full"] = "masked",
        mask: float | None = None,
        teacher_text: Literal["same", "full"] = "same",
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
        colours = {"jitter": jitter, "jitter_chance": jitter_chance, "grey": grey, "blur": blur, "sigma": sigma}
        places = {"size": size, "scale": scale, "ratio": ratio, "flip": flip, "careful_flip": careful_flip}
        operations = {"randaugment": randaugment, "draws": draws, "level": level, "arithmetic": arithmetic}
        super().__init__(**colours, **places, **operations)  # type: ignore[arg-type]
        self.strong = _one_of("picture", picture, PICTURES) == "strong"
        self.masked = _one_of("text", text, TEXTS) == "masked"
        self.full_teacher = _one_of("teacher_text", teacher_text, TEACHER_TEXTS) == "full"
        if mask is not None and not 0 < mask < 1:
            raise VlzooError(f"mask {mask} is no share of words", where="augmentation mmda", fix="0.15 is usual")
        self.mask = mask

    def plan(self, plan: Plan) -> None:
        """Every objective that names no text reads the masked one; a stream of pictures alone has none."""
        if self.masked and plan.main_text is not None:
            plan.mask_text(self.mask, everywhere=True)
            plan.teacher_text = "text" if self.full_teacher else ""

    def colours(self, picture: Image, rng: np.random.Generator) -> Image:
        """Jitter, grey and blur, each by its own chance; nothing, and no draw, for weak pictures."""
        return super().colours(picture, rng) if self.strong else picture


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        fix = did_you_mean(str(value), known, what="values")
        raise VlzooError(f"{name}: there is no {value!r}", where="augmentation mmda", fix=fix)
    return value
