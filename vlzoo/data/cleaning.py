"""Bounds on texts and boxes: what is cut, clipped or dropped, and counted. No torch here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from vlzoo.data.decoding import MAX_PIXELS
from vlzoo.data.faults import Faults
from vlzoo.data.fields import short, typed
from vlzoo.errors import DataError
from vlzoo.types import Box

T = TypeVar("T")

MAX_WORDS = 1_000
"""Words of a text that are kept. Models read 25 to 50; a longer text is a broken record."""

MAX_CHARACTERS = 20_000
"""Characters of a text that are kept, for texts without spaces."""

MAX_REGIONS = 1_000
"""Regions of a picture that are kept. Visual Genome and OpenImages have up to some hundreds."""


def clean_text(value: Any, where: str, faults: Faults, *, what: str = "caption") -> str | None:
    """A text with its outer blanks gone, cut at the bounds; None where nothing is left.

    Args:
        value: what the file holds.
        where: file and line, or id.
        faults: takes `empty caption` (skipped) and `caption cut` (mended).
        what: the text's name in counts.

    Raises:
        DataError: the value is not text.
    """
    text = storable(typed(value, str, where, f"the {what}")).strip()
    if not text:
        faults.skip(f"empty {what}", where)
        return None
    if len(text) <= MAX_WORDS:
        return text
    kept = text[:MAX_CHARACTERS]
    ends = [match.end() for match in re.finditer(r"\S+", kept)]
    kept = kept[: ends[MAX_WORDS - 1]] if len(ends) > MAX_WORDS else kept
    if len(kept) < len(text):
        faults.mend(f"{what} cut", where, f"{len(text.split()):,} words, {len(text):,} characters")
    return kept


def storable(text: str) -> str:
    """A text without what no table keeps: surrogates that json escapes leave alone, and the character zero."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def clean_texts(values: Iterable[Any], where: str, faults: Faults, *, what: str = "caption") -> tuple[str, ...]:
    """The texts that are left of several."""
    found = (clean_text(value, where, faults, what=what) for value in values)
    return tuple(text for text in found if text is not None)


def box_numbers(value: Any, where: str) -> Box:
    """A box as a file writes it, a list of four numbers; not one of them has to be sensible.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise DataError(f"the box is {short(value)}, expected a list of four numbers", where=where)
    x, y, width, height = (typed(number, float, where, "a number of the box") for number in value)
    return x, y, width, height


def clean_box(value: Sequence[Any], where: str, faults: Faults, *, size: tuple[int, int] | None = None) -> Box | None:
    """A box x, y, width, height in pixels, clipped to its picture; None where nothing is left.

    Args:
        value: four numbers.
        where: file and line, or id.
        faults: takes `box not finite`, `box with swapped corners`, `box of no area`, `box in shares, not in pixels` and
            `box outside the picture` (skipped), `box clipped` (mended). An overhang of less than a pixel is rounding,
            and clipped without a word.
        size: width and height of the picture; None where the file does not tell them: then it may reach beyond it; 1, 1
            of boxes in shares.

    Raises:
        DataError: not four numbers.
    """
    x, y, width, height = box_numbers(value, where)
    shown = f"[{x:g}, {y:g}, {width:g}, {height:g}]"
    if kind := _useless((x, y, width, height), in_pixels=size is None or max(size) > 1):
        faults.skip(kind, where, shown)
        return None
    if size is None:
        if max(abs(x), abs(y), width, height) <= MAX_PIXELS:
            return x, y, width, height
        size = MAX_PIXELS, MAX_PIXELS  # no picture is larger
    right, low = min(x + width, float(size[0])), min(y + height, float(size[1]))
    left, top = max(x, 0.0), max(y, 0.0)
    if right <= left or low <= top:
        faults.skip("box outside the picture", where, f"{shown} in {size[0]} x {size[1]}")
        return None
    if max(left - x, top - y, x + width - right, y + height - low) >= 1:
        faults.mend("box clipped", where, f"{shown} in {size[0]} x {size[1]}")
    inner = left == x and top == y and right >= x + width and low >= y + height
    return (x, y, width, height) if inner else (left, top, right - left, low - top)


def in_shares(box: Sequence[float]) -> bool:
    """Whether all numbers of a box lie between 0 and 1: in pixels it would be one pixel at the most."""
    return all(0 <= number <= 1 for number in box)


def clean_count(regions: Sequence[T], where: str, faults: Faults) -> Sequence[T]:
    """The regions of a picture up to the bound; those beyond it are counted, each as a record that is left out."""
    beyond = len(regions) - MAX_REGIONS
    if beyond > 0:
        faults.skip(f"region beyond the {MAX_REGIONS:,} of a picture", where, f"{len(regions):,} regions", beyond)
    return regions[:MAX_REGIONS]


def _useless(box: Box, *, in_pixels: bool) -> str:
    """Why a box is no box, whatever its picture; empty where it is one."""
    _, _, width, height = box
    if not all(map(math.isfinite, box)):
        return "box not finite"
    if width < 0 or height < 0:
        return "box with swapped corners"
    if width == 0 or height == 0:
        return "box of no area"
    return "box in shares, not in pixels" if in_pixels and in_shares(box) else ""
