"""What of a picture can become rows: its caption and its regions; which cells a region's box meets. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlzoo.augment.boxes import inside
from vlzoo.data.records import Region, Sample
from vlzoo.data.visit import Look
from vlzoo.data_parts import Box
from vlzoo.text.cleaning import pre_caption

ROUNDING = 1e-9
"""Shares and pixels below it are none: half of a box stays half of it when a picture is resized."""


class Piece(NamedTuple):
    """What one row shows and says.

    Attributes:
        place: 0: the whole picture; n: the sample's n-th region.
        text: what is said.
        box: x, y, width, height in pixels of what is seen.
    """

    place: int
    text: str
    box: Box


def pieces_of(
    sample: Sample, look: Look, rng: np.random.Generator, *, each: int, least_inside: float
) -> Iterator[Piece]:
    """One caption of a picture, then its regions in random order, those of which enough can be seen.

    What says nothing is left out. A referring expression, which is a text of the sample and of its region, is no
    caption. Each is drawn when it is asked for.

    Args:
        sample: the record.
        look: its picture changed with `sample.texts`, all that `said_of` gives of its regions, and all their boxes.
        rng: where all randomness comes from.
        each: most that are given, the caption counted.
        least_inside: a region is left out unless more than this share of its box's area can be seen.
    """
    side, texts, left = len(look.seen), iter(look.texts), each  # type: ignore[arg-type]
    expressions = {region.text for region in sample.regions if region.kind == "expression"}
    captions = [text for before, text in zip(sample.texts, texts) if before not in expressions]  # noqa: B905
    phrases = [[next(texts) for _ in said_of(region)] for region in sample.regions]
    if captions and pre_caption(caption := _one(captions, rng)):
        yield Piece(0, caption, (0, 0, side, side))
        left -= 1
    for number in rng.permutation(len(sample.regions)):
        if not left:
            return
        box, share = inside(look.boxes[number], side, side)
        if share > least_inside + ROUNDING and min(box[2:]) > ROUNDING:
            text = _one(phrases[number], rng)
            if words := [word for word in sample.regions[number].attributes if word]:
                text = f"{_one(words, rng)} {text}"
            if pre_caption(text):
                yield Piece(int(number) + 1, text, box)
                left -= 1


def cells(box: Box, side: int, patch: int) -> NDArray[np.bool_]:
    """The cells that a box meets, [side / patch, side / patch] bool, at least one.

    >>> cells((20, 0, 20, 16), side=64, patch=16)[0].tolist()
    [False, True, True, False]

    Args:
        box: x, y, width, height in pixels.
        side: of the picture, in pixels.
        patch: side of a cell, in pixels.
    """
    grid, (x, y, width, height) = side // patch, box
    met = np.zeros((grid, grid), bool)
    met[_reach(y, height, patch, grid), _reach(x, width, patch, grid)] = True
    return met


def _reach(low: float, length: float, patch: int, grid: int) -> slice:
    first = min(math.floor(low / patch), grid - 1)
    return slice(first, max(first + 1, min(math.ceil((low + length) / patch), grid)))


def said_of(region: Region) -> tuple[str, ...]:
    """All texts of a region, of which one is drawn."""
    return (region.text, *region.others)


def _one(values: Sequence[str], rng: np.random.Generator) -> str:
    return values[int(rng.integers(len(values)))] if len(values) > 1 else values[0]
