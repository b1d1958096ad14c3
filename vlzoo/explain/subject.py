"""What is explained: a picture with what is said of it, from a file or out of a data source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlzoo.data.cleaning import in_shares
from vlzoo.data.images import MAX_PIXELS, BytesImage
from vlzoo.data.records import ImageRef
from vlzoo.errors import DataError, UnknownName, VlzooError, did_you_mean
from vlzoo.types import Box

MOST_BYTES = 512_000_000
"""Bytes of a file that may hold one picture: what the most pixels take uncompressed, as in archives."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
"""Of the files that a message names as pictures."""

BATCH = 32
"""Pictures or texts that are computed together where somebody waits for the answer."""

MOST_TEXTS = 23
"""Most texts of a sample that are drawn: with the picture itself six rows of four."""


@dataclass(frozen=True)
class Said:
    """A text about a picture.

    Attributes:
        text: what is said.
        true: the boxes that it speaks of, x, y, width, height in pixels of the stored picture; none: not known.
    """

    text: str
    true: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Subject:
    """A picture and what is said of it.

    Attributes:
        name: what figures call it.
        picture: the picture.
        said: the texts.
        left_out: how many texts of the sample are beyond `MOST_TEXTS`.
    """

    name: str
    picture: ImageRef
    said: tuple[Said, ...]
    left_out: int = 0


def of_sample(source: Any, name: str) -> Subject:
    """A sample of a data source: its first picture, and every region's text with its box.

    Raises:
        UnknownName: there is no such sample.
        DataError: it has no picture, or no box with a text.
    """
    sample = next((each for each in (source[row] for row in range(len(source))) if each.name == name), None)
    if sample is None:
        fix = did_you_mean(name, [source[row].name for row in range(len(source))], what="samples")
        raise UnknownName(f"{source.name} has no sample {name!r}", where="--sample", fix=fix)
    said = tuple(Said(region.text, (region.box,)) for region in sample.regions if region.text.strip())
    if not sample.images or not said:
        what = f"sample {name} has no {'box with a text' if sample.images else 'picture'}"
        raise DataError(what, where=source.name, fix="give --data with boxes, as scenes-refcoco, refcoco or vg-regions")
    return Subject(name, sample.images[0], said[:MOST_TEXTS], max(0, len(said) - MOST_TEXTS))


def box_of(text: str) -> Box:
    """A box as a command line writes it: `x,y,width,height`.

    Raises:
        VlzooError: it is something else, or no box.
    """
    fix = "write --true x,y,width,height in pixels of the picture, as 12,30,40,25"
    try:
        x, y, width, height = (float(number) for number in text.split(","))
    except ValueError as error:
        raise VlzooError(f"{text!r} is not four numbers", where="--true", fix=fix) from error
    if not all(map(math.isfinite, (x, y, width, height))) or min(width, height) <= 0:
        raise VlzooError(
            f"{text!r} is no box: width and height are above zero, and all four finite", where="--true", fix=fix
        )
    return x, y, width, height


def check_inside(boxes: Sequence[Box], size: tuple[int, int]) -> None:
    """Refuse true boxes of which nothing lies in the picture, and boxes in shares of it.

    Args:
        boxes: x, y, width, height.
        size: width and height of the picture, in pixels.

    Raises:
        VlzooError: there is one.
    """
    for x, y, width, height in boxes:
        shown, fix = f"{x:g},{y:g},{width:g},{height:g}", f"the picture has {size[0]} x {size[1]} pixels"
        if x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
            raise VlzooError(f"the box {shown} lies outside the picture", where="--true", fix=fix)
        if in_shares((x, y, width, height)) and max(size) > 1:
            raise VlzooError(f"the box {shown} is in shares, not in pixels", where="--true", fix=fix)


def load_picture(image: Path) -> ImageRef:
    """The picture, which has been read once. What the user named is read, wherever links lead.

    Raises:
        DataError: there is none, or it can't be read.
    """
    try:
        with image.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise unread(image, error) from error
    if not data:
        raise DataError("the file is empty", where=str(image), fix="copy or download it again")
    if len(data) > MOST_BYTES:
        what = f"more than {MOST_BYTES:,} bytes are too many for a picture"
        raise DataError(what, where=str(image), fix=f"IMAGE may have {MAX_PIXELS:,} pixels: make it smaller")
    picture = BytesImage(str(image), data)
    try:
        picture.open()
    except DataError as error:
        fix = error.fix or "IMAGE is the path of one picture: JPEG, PNG, ..."
        raise DataError(error.what, where=error.where, fix=fix) from error
    return picture


def unread(image: Path, error: OSError) -> DataError:
    """Why the file of a picture can't be opened, and what would do."""
    where = str(image)
    if image.is_symlink() and isinstance(error, FileNotFoundError):
        what = f"this link leads to {str(image.readlink())!r}, where there is no file"
        return DataError(what, where=where, fix="bring that file back, or download it again")
    folder = image if image.is_dir() else image.parent
    try:
        beside = sorted(each.name for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
    except OSError:
        beside = []
    if isinstance(error, IsADirectoryError):
        fix = f"name one picture in it: {image / beside[0]}" if beside else "IMAGE is the path of one picture"
        return DataError("a folder where one picture is expected", where=where, fix=fix)
    if isinstance(error, FileNotFoundError):
        fix = did_you_mean(image.name, beside, what="pictures there") if beside else "IMAGE is the path of one picture"
        return DataError("there is no such picture", where=where, fix=fix)
    return DataError(f"the picture can't be read: {error.strerror}", where=where, fix="name a file that you may read")
