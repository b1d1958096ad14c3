"""Pictures inside a page: small ones, each of no more than so many bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vlzoo.explain.draw import fit, outlined
from vlzoo.types import Box

SIDE = 240
"""Longer side of a picture, in pixels."""
MOST_BYTES = 12_000
"""Of a picture; a page holds four thirds of it."""
QUALITIES = (85, 70, 50, 30, 10)
"""Of a JPEG, tried in turn until it is small enough."""

FOUND, TRUE = (211, 47, 47), (21, 101, 192)
"""Colours of a box that was answered, and of the true one."""


@dataclass(frozen=True)
class WordMaps:
    """Where a run looked in an example's picture for each word of its caption.

    Attributes:
        run: its name.
        sample: the example's.
        caption: what the picture is to fit.
        told: the matching score, and the layer, in words.
        picture: the picture that the run saw, embedded.
        words: each word, its map over the picture, embedded, and the map's greatest value.
    """

    run: str
    sample: str
    caption: str
    told: str
    picture: str
    words: Sequence[tuple[str, str, str]]


def embedded(picture: Image.Image, *, side: int = SIDE, most: int = MOST_BYTES) -> str:
    """A picture as the address of an image in the page: PNG where that is smaller, else JPEG.

    >>> embedded(Image.new("RGB", (640, 480))).partition(",")[0]
    'data:image/png;base64'

    Args:
        picture: the picture, in colours.
        side: its longer side is made no longer than that, in pixels.
        most: bytes that it may take; one that takes more is made smaller.
    """
    shown = picture.convert("RGB")
    shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    kind, data = min((("png", _encoded(shown, "PNG")), ("jpeg", _encoded(shown, "JPEG", quality=85))), key=_size)
    for quality in QUALITIES:
        if len(data) <= most:
            break
        kind, data = "jpeg", _encoded(shown, "JPEG", quality=quality)
    if len(data) > most and side > 1:  # noise is not made small by quality
        return embedded(shown, side=side // 2, most=most)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def boxed(picture: Image.Image, found: Sequence[Box], true: Sequence[Box]) -> Image.Image:
    """A picture with the outlines of boxes, those that were answered over the true ones."""
    levels = fit(np.asarray(picture.convert("RGB")), SIDE)
    scale = (levels.shape[1] / picture.width, levels.shape[0] / picture.height)
    for boxes, colour, width in ((true, TRUE, 6), (found, FOUND, 2)):
        for box in boxes:
            levels = outlined(levels, box, scale, colour, width=width)
    return Image.fromarray(levels)


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    written = io.BytesIO()
    picture.save(written, kind, optimize=True, **options)
    return written.getvalue()


def _size(kind_and_data: tuple[str, bytes]) -> int:
    return len(kind_and_data[1])
