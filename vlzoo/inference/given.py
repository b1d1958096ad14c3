"""Pictures and texts as people have them at hand, made what models read: one or a list, paths or opened pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL.Image import Image

from vlzoo.data.records import ImageRef, Sample
from vlzoo.errors import DataError
from vlzoo.explain.subject import load_picture

Picture: TypeAlias = str | Path | Image
"""What is taken for a picture: the path of a file, or a picture that Pillow has opened."""


@dataclass(frozen=True)
class Opened:
    """A picture that Pillow has opened, as data sources give theirs."""

    picture: Image
    name: str = "picture"

    def open(self) -> Image:
        """The picture in RGB.

        Raises:
            DataError: its file, which Pillow reads only now, is cut short.
        """
        try:
            return self.picture.convert("RGB")
        except OSError as error:
            raise DataError(f"the picture can't be read: {error}", where=self.name) from error


def is_one(given: Any) -> bool:
    """Whether something was given by itself, not in a list."""
    return isinstance(given, str | Path | Image)


def _listed(given: Any, what: str) -> list[Any]:
    """What was given as a list, of one where it stood by itself.

    Raises:
        DataError: it is empty, or of another kind.
    """
    if is_one(given):
        return [given]
    if isinstance(given, Sequence | np.ndarray) and len(given):
        return list(given)
    raise DataError(f"no {what}: {given!r:.60}", fix=f"give one {what} or a list of them")


def words_of(given: str | Sequence[str]) -> list[str]:
    """Texts as a list.

    Raises:
        DataError: there is none, or something else than a text.
    """
    words = _listed(given, "text")
    wrong = [word for word in words if not isinstance(word, str)]
    if wrong:
        raise DataError(f"{wrong[0]!r:.60} is no text", fix="give a text, or a list of them")
    return words


def pictures_of(given: Picture | Sequence[Picture]) -> list[ImageRef]:
    """Pictures as a list, as data sources give theirs; files are read here.

    Raises:
        DataError: there is none, or one can't be read.
    """
    return [picture_of(each) for each in _listed(given, "picture")]


def picture_of(given: Picture) -> ImageRef:
    """A picture as data sources give theirs; a file is read here.

    Raises:
        DataError: it can't be read, or is no picture.
    """
    if isinstance(given, Image):
        return Opened(given, str(getattr(given, "filename", "")) or "picture")
    if isinstance(given, str | Path):
        return load_picture(Path(given))
    what = f"{type(given).__name__} is no picture"
    raise DataError(what, fix="give the path of a file, or PIL.Image.fromarray(array) of an array of bytes")


def samples_of(image: Picture | Sequence[Picture], text: str | Sequence[str]) -> list[Sample]:
    """A sample for each text, with its picture.

    Raises:
        DataError: there are not as many pictures as texts, and neither is one.
    """
    shown, said = pictures_of(image), words_of(text)
    count = max(len(shown), len(said))
    if min(len(shown), len(said)) not in (1, count):
        raise DataError(f"{len(shown)} pictures for {len(said)} texts", fix="give one picture for all, or one a text")
    shown = shown * count if len(shown) == 1 else shown
    said = said * count if len(said) == 1 else said
    pairs = zip(shown, said, strict=True)
    return [Sample(str(row), (picture,), (words,)) for row, (picture, words) in enumerate(pairs)]
