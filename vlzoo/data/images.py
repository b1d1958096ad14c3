"""Pictures that have not been read yet: files, members of zip and tar archives, bytes. No torch here."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vlzoo.data.decoding import MAX_PIXELS, TOO_LARGE, decode, read_picture
from vlzoo.data.paths import inside
from vlzoo.errors import DataError
from vlzoo.types import Box

if TYPE_CHECKING:
    from PIL.Image import Image


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
        return open_picture(self.name, lambda: inside(self.root, self.path).open("rb"), self.max_pixels)


@dataclass(frozen=True)
class CroppedImage(FileImage):
    """A part of a picture in a file below `root`, in which its name is the file's.

    Attributes:
        box: x, y, width, height in pixels of the stored picture; what reaches beyond it is cut off.
    """

    box: Box = (0.0, 0.0, 1.0, 1.0)

    def open(self) -> Image:
        """The part of the decoded RGB picture, in whole pixels.

        Raises:
            DataError: as of a whole picture; or the box lies outside it.
        """
        whole = super().open()
        x, y, width, height = self.box
        left, top = max(round(x), 0), max(round(y), 0)
        right, low = min(round(x + width), whole.width), min(round(y + height), whole.height)
        if right <= left or low <= top:
            shown = f"[{x:g}, {y:g}, {width:g}, {height:g}]"
            raise DataError(f"the box {shown} leaves nothing of {whole.width} x {whole.height} pixels", where=self.name)
        return whole.crop((left, top, right, low))


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
        return open_picture(self.name, self._stream, self.max_pixels)

    def _stream(self) -> IO[bytes]:
        archive, entry = self._entry()
        check_bytes(entry.file_size, self.name, self.max_pixels)
        return io.BytesIO(archive.read(entry))

    def _entry(self) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        # Forked workers must not share one file offset.
        archive = _zip((self.archive, os.stat(self.archive).st_mtime_ns, os.getpid()))
        try:
            return archive, archive.getinfo(self.member)
        except KeyError as error:
            raise DataError(f"no member {self.member!r} in this archive", where=self.archive) from error


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
        return open_picture(self.name, self._stream, self.max_pixels)

    def _stream(self) -> IO[bytes]:
        check_bytes(self.size, self.name, self.max_pixels)
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
        return open_picture(self.label, lambda: io.BytesIO(self.data), self.max_pixels)

    def __repr__(self) -> str:
        return f"BytesImage({self.label!r}, {len(self.data)} bytes)"


def picture_size(image: FileImage | BytesImage) -> tuple[int, int]:
    """Width and height in pixels, from the header alone.

    Raises:
        DataError: outside its root, missing, not a picture, or too many pixels.
    """
    with _stream_of(image.name, lambda: _encoded(image)) as stream:
        return read_picture(stream, image.name, image.max_pixels, lambda picture: picture.size)


def _encoded(image: FileImage | BytesImage) -> IO[bytes]:
    return io.BytesIO(image.data) if isinstance(image, BytesImage) else inside(image.root, image.path).open("rb")


def require_picture(image: object) -> None:
    """Refuse a picture whose file, or member of a zip archive, is not there; nothing is decoded.

    Raises:
        DataError: it is not there.
    """
    if isinstance(image, FileImage) and not inside(image.root, image.path).is_file():
        raise DataError("there is no such picture", where=image.name)
    if isinstance(image, ZipImage):
        _stream_of(image.name, lambda: image._entry()[0].open(image.member)).close()


def check_bytes(size: int, name: str, max_pixels: int) -> None:
    """Refuse more bytes than a picture within the bound can have.

    Raises:
        DataError: there are more.
    """
    if size > 8 * max_pixels:
        said = f"{size:,} bytes are too many for a picture of at most {max_pixels:,} pixels"
        raise DataError(said, where=name, fix=TOO_LARGE)


def open_picture(name: str, open_: Callable[[], IO[bytes]], max_pixels: int) -> Image:
    """The decoded RGB picture in what `open_` gives.

    Raises:
        DataError: it can't be opened, whatever the reason, is not a picture, or has too many pixels.
    """
    with _stream_of(name, open_) as stream:
        return decode(stream, name, max_pixels)


def _stream_of(name: str, open_: Callable[[], IO[bytes]]) -> IO[bytes]:
    try:
        return open_()
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError("there is no such picture", where=name, fix="`vlzoo data check` names all that miss") from error
    except IsADirectoryError as error:
        raise DataError("a folder where a picture is expected", where=name) from error
    # Besides the system's errors, those of an archive: damaged, encrypted, packed in a way that is not known.
    except Exception as error:
        raise DataError(f"can't be read as a picture: {str(error) or type(error).__name__}", where=name) from error
