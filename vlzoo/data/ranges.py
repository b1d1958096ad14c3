"""Pictures behind a URL, whole files or ranges of bytes; those of a batch are read at once. No torch here."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from vlzoo.data.decoding import MAX_PIXELS
from vlzoo.data.images import BytesImage, check_bytes, open_picture
from vlzoo.data.places import place
from vlzoo.data.records import ImageRef, Sample

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class RangeImage:
    """A picture in a file behind a URL.

    Attributes:
        url: the file's.
        member: its name in the file, for messages; empty: it is the file.
        offset: where its bytes begin.
        size: how many there are; None: to the file's end.
        max_pixels: the bound on width times height.
    """

    url: str
    member: str = ""
    offset: int = 0
    size: int | None = None
    max_pixels: int = MAX_PIXELS

    @property
    def name(self) -> str:
        """`s3://bucket/shard.tar!/member`, or the file's URL."""
        return f"{self.url}!/{self.member}" if self.member else self.url

    @property
    def end(self) -> int | None:
        """Behind its last byte; None: the file's end."""
        return None if self.size is None else self.offset + self.size

    def open(self) -> Image:
        """The decoded RGB picture.

        Raises:
            DataError: missing, out of reach, truncated, not a picture, or too many pixels.
        """
        return open_picture(self.name, self._stream, self.max_pixels)

    def _stream(self) -> IO[bytes]:
        check_bytes(self.size or 0, self.name, self.max_pixels)
        there = place(self.url)
        return io.BytesIO(there.fs.cat_file(there.path, self.offset, self.end))


def read_ahead(samples: Sequence[Sample]) -> list[Sample]:
    """Samples whose pictures behind URLs are held as bytes, read at once as far as their file system can.

    What can't be read stays as it is: opening it tells why.
    """
    wanted = list(dict.fromkeys(image for sample in samples for image in sample.images if _is_range(image)))
    if not wanted:
        return list(samples)
    held = _read(wanted)
    return [replace(sample, images=tuple(held.get(image, image) for image in sample.images)) for sample in samples]


def _is_range(image: ImageRef) -> bool:
    return isinstance(image, RangeImage) and (image.size or 0) <= 8 * image.max_pixels


def _read(images: Iterable[Any]) -> dict[ImageRef, BytesImage]:
    by_system: dict[Any, list[tuple[RangeImage, str]]] = {}
    for image in images:
        there = place(image.url)
        by_system.setdefault(there.fs, []).append((image, there.path))
    held: dict[ImageRef, BytesImage] = {}
    for system, wanted in by_system.items():
        starts, ends = [image.offset for image, _ in wanted], [image.end for image, _ in wanted]
        found = system.cat_ranges([path for _, path in wanted], starts, ends, on_error="return")
        for (image, _), data in zip(wanted, found, strict=True):
            if isinstance(data, bytes):
                held[image] = BytesImage(image.name, data, image.max_pixels)
    return held
