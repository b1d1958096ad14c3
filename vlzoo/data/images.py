"""Pictures that have not been read yet, and their safe decoding: files, zip and tar members, bytes. No torch here.

Decoding keeps the pixels as stored: like the official code of ALBEF and X-VLM (`Image.open(path).convert("RGB")`), it
does not turn a picture upright by its EXIF orientation, because boxes refer to the stored pixels. It differs from them
in three cases that plain conversion gets wrong: transparent pixels are flattened on white, 16-bit grey is scaled to 8
bits instead of clipped, and a picture is refused by its header when it would decode to more pixels than allowed.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

from vlzoo.data.paths import inside
from vlzoo.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

MAX_PIXELS = 64_000_000
"""The most pixels a picture may have, 8,000 x 8,000: 192 MB once decoded."""


@dataclass(frozen=True)
class FileImage:
    """A picture in a file below `root`.

    Attributes:
        root: the folder that the picture must not leave.
        path: its path below `root`, with `/` between folders.
        max_pixels: the bound on width times height.
    """

    root: str
    path: str
    max_pixels: int = MAX_PIXELS

    @property
    def name(self) -> str:
        """The whole path."""
        return str(Path(self.root, self.path))

    def open(self) -> Image:
        """The decoded RGB picture.

        Raises:
            DataError: outside `root`, missing, a folder, truncated, not a picture, or too many pixels.
        """
        return _opened(self.name, lambda: inside(self.root, self.path).open("rb"), self.max_pixels)


@dataclass(frozen=True)
class ZipImage:
    """A picture in a zip archive.

    Attributes:
        archive: path of the archive.
        member: name of the picture in it.
        max_pixels: the bound on width times height.
    """

    archive: str
    member: str
    max_pixels: int = MAX_PIXELS

    @property
    def name(self) -> str:
        """`archive.zip!/member`."""
        return f"{self.archive}!/{self.member}"

    def open(self) -> Image:
        """The decoded RGB picture.

        Raises:
            DataError: missing, truncated, not a picture, or too many pixels.
        """
        return _opened(self.name, self._stream, self.max_pixels)

    def _stream(self) -> IO[bytes]:
        # Forked workers must not share one file offset.
        archive = _zip((self.archive, os.stat(self.archive).st_mtime_ns, os.getpid()))
        try:
            size = archive.getinfo(self.member).file_size
        except KeyError as error:
            raise DataError(f"no member {self.member!r} in this archive", where=self.archive) from error
        if size > 8 * self.max_pixels:
            raise DataError(f"{size:,} bytes are too many for a picture", where=self.name)
        return io.BytesIO(archive.read(self.member))


@lru_cache(maxsize=16)
def _zip(key: tuple[str, int, int]) -> zipfile.ZipFile:
    """The open archive of a path, the time of its last change, and the process that reads it."""
    return zipfile.ZipFile(key[0])


@dataclass(frozen=True)
class TarImage:
    """A picture in an uncompressed tar archive, by its place in bytes.

    Attributes:
        archive: path of the archive.
        member: name of the picture in it, for messages.
        offset: where its bytes begin.
        size: how many there are.
        max_pixels: the bound on width times height.
    """

    archive: str
    member: str
    offset: int
    size: int
    max_pixels: int = MAX_PIXELS

    @property
    def name(self) -> str:
        """`shard.tar!/member`."""
        return f"{self.archive}!/{self.member}"

    def open(self) -> Image:
        """The decoded RGB picture.

        Raises:
            DataError: missing, truncated, not a picture, or too many pixels.
        """
        return _opened(self.name, self._stream, self.max_pixels)

    def _stream(self) -> IO[bytes]:
        with Path(self.archive).open("rb") as file:
            file.seek(self.offset)
            return io.BytesIO(file.read(self.size))


@dataclass(frozen=True)
class BytesImage:
    """A picture held as encoded bytes.

    Attributes:
        label: where it came from, for messages.
        data: the encoded picture.
        max_pixels: the bound on width times height.
    """

    label: str
    data: bytes
    max_pixels: int = MAX_PIXELS

    @property
    def name(self) -> str:
        """Where it came from."""
        return self.label

    def open(self) -> Image:
        """The decoded RGB picture.

        Raises:
            DataError: truncated, not a picture, or too many pixels.
        """
        return decode(io.BytesIO(self.data), self.label, self.max_pixels)

    def __repr__(self) -> str:
        return f"BytesImage({self.label!r}, {len(self.data)} bytes)"


def decode(stream: IO[bytes], name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """The RGB picture in `stream`; its size is read and bounded before any pixel is decoded.

    Args:
        stream: the encoded picture; only the first frame is read.
        name: where it came from, for messages.
        max_pixels: the bound on width times height.

    Raises:
        DataError: truncated, not a picture, or too many pixels.
    """
    return _read(stream, name, max_pixels, _rgb)


def picture_size(image: FileImage | BytesImage) -> tuple[int, int]:
    """Width and height in pixels, from the header alone.

    Raises:
        DataError: outside its root, missing, not a picture, or too many pixels.
    """
    with _stream_of(image.name, lambda: _encoded(image)) as stream:
        return _read(stream, image.name, image.max_pixels, lambda picture: picture.size)


def _encoded(image: FileImage | BytesImage) -> IO[bytes]:
    return io.BytesIO(image.data) if isinstance(image, BytesImage) else inside(image.root, image.path).open("rb")


def _read(stream: IO[bytes], name: str, max_pixels: int, take: Callable[[Image], T]) -> T:
    from PIL import Image, UnidentifiedImageError

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with Image.open(stream) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise DataError(
                    f"{width:,} x {height:,} pixels are more than the {max_pixels:,} allowed",
                    where=name,
                    fix="make the picture smaller, or leave it out",
                )
            return take(picture)
    except UnidentifiedImageError as error:
        raise DataError("not a picture in a format that can be read", where=name) from error
    except bombs as error:
        raise DataError(f"more pixels than the {max_pixels:,} allowed ({error})", where=name) from error
    # Decoders report damage in all these ways.
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, MemoryError) as error:
        raise DataError(f"the picture is damaged: {error}", where=name, fix="download it again") from error


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
    level_HW = np.nan_to_num(grey_HW.astype(np.float64))
    top = max(float(level_HW.max(initial=0.0)), 0.0)
    deep = np.issubdtype(grey_HW.dtype, np.uint16) or 255 < top <= 65535
    full = 65535.0 if deep else (1.0 if grey_HW.dtype.kind == "f" and top <= 1 else max(top, 255.0))
    return np.clip(level_HW * (255.0 / full) + 0.5, 0, 255).astype(np.uint8)


def _opened(name: str, open_: Callable[[], IO[bytes]], max_pixels: int) -> Image:
    with _stream_of(name, open_) as stream:
        return decode(stream, name, max_pixels)


def _stream_of(name: str, open_: Callable[[], IO[bytes]]) -> IO[bytes]:
    try:
        return open_()
    except FileNotFoundError as error:
        raise DataError("there is no such picture", where=name, fix="`vlzoo data check` names all that miss") from error
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(_reason(error, "a picture"), where=name) from error


def _reason(error: Exception, wanted: str) -> str:
    if isinstance(error, IsADirectoryError):
        return f"a folder where {wanted} is expected"
    if isinstance(error, FileNotFoundError):
        return f"there is no such file; {wanted} is expected"
    return f"can't be read as {wanted}: {error}"
