"""Safe decoding of pictures that anybody made. No torch here.

Decoding keeps the pixels as stored: like the official code of ALBEF and X-VLM (`Image.open(path).convert("RGB")`), it
does not turn a picture upright by its EXIF orientation, because boxes refer to the stored pixels. It differs from them
in three cases that plain conversion gets wrong: transparent pixels are flattened on white, 16-bit grey is scaled to 8
bits instead of clipped, and a picture is refused by its header when it would decode to more pixels than allowed.

Whatever a decoder does with a damaged picture, what comes out is a picture or a `DataError` that names it.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

from vlzoo.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

MAX_PIXELS = 64_000_000
"""The most pixels a picture may have, 8,000 x 8,000: 192 MB once decoded."""

TOO_LARGE = "make the picture smaller, or leave it out (`skip` of its data source)"

_HEARD = Lock()
"""Held while standard error is turned aside, which is one for all threads."""

# PIL logs damage that it raises an error for, too; with no handler the log goes to standard error.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def decode(stream: IO[bytes], name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """The RGB picture in `stream`; its size is read and bounded before any pixel is decoded.

    Args:
        stream: the encoded picture; only the first frame is read.
        name: where it came from, for messages.
        max_pixels: the bound on width times height.

    Raises:
        DataError: truncated, not a picture, or too many pixels.
    """
    return read_picture(stream, name, max_pixels, _rgb)


def read_picture(stream: IO[bytes], name: str, max_pixels: int, take: Callable[[Image], T]) -> T:
    """What `take` makes of a picture whose size is within bounds.

    Args:
        stream: the encoded picture.
        name: where it came from, for messages.
        max_pixels: the bound on width times height.
        take: called with the picture as PIL opened it; nothing but the header is read by then.

    Raises:
        DataError: truncated, not a picture, or too many pixels.
    """
    from PIL import Image, UnidentifiedImageError

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken EXIF and the like, for every picture of a worker
            with Image.open(stream) as picture:
                _check_size(picture.size, name, max_pixels)
                with _unheard() if picture.format == "TIFF" else nullcontext():
                    return take(picture)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("not a picture in a format that can be read", where=name) from error
    except bombs as error:
        raise DataError(f"more pixels than the {max_pixels:,} allowed ({error})", where=name, fix=TOO_LARGE) from error
    # Decoders report damage by errors of every kind, and a picture must not end a training run.
    except Exception as error:
        raise DataError(
            f"the picture is damaged: {str(error) or type(error).__name__}", where=name, fix="download it again"
        ) from error


@contextmanager
def _unheard() -> Iterator[None]:
    """Without what libtiff writes of damage: past Python, to the process's standard error."""
    with _HEARD, Path(os.devnull).open("wb") as nothing:
        heard = os.dup(2)
        try:
            os.dup2(nothing.fileno(), 2)
            yield
        finally:
            os.dup2(heard, 2)
            os.close(heard)


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise DataError(f"a picture of {width:,} x {height:,} pixels", where=name, fix="download it again")
    if width * height > max_pixels:
        said = f"{width:,} x {height:,} pixels are more than the {max_pixels:,} allowed"
        raise DataError(said, where=name, fix=TOO_LARGE)


def _rgb(picture: Image) -> Image:
    """Any mode as RGB: transparency on white, deep grey scaled to 8 bits."""
    from PIL import Image

    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        return Image.fromarray(_eight_bit(np.asarray(picture))).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")


def _eight_bit(grey_HW: np.ndarray) -> np.ndarray:
    """Grey levels [H, W] of 8, 16 or more bits, or floats, as uint8; H rows, W columns."""
    level_HW = grey_HW.astype(np.float64)
    top = max(float(level_HW.max(initial=0.0, where=np.isfinite(level_HW))), 0.0)
    level_HW = np.nan_to_num(level_HW, posinf=top, neginf=0.0)
    deep = np.issubdtype(grey_HW.dtype, np.uint16) or 255 < top <= 65535
    full = 65535.0 if deep else (1.0 if grey_HW.dtype.kind == "f" and top <= 1 else max(top, 255.0))
    return np.clip(level_HW * (255.0 / full) + 0.5, 0, 255).astype(np.uint8)
