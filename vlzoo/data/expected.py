"""The files and folders that a data source reads. No torch here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vlzoo.data.reading import kind_of


@dataclass(frozen=True)
class Expected:
    """One file or folder a source reads.

    Attributes:
        path: below the root, with `/` between folders.
        about: what it is, for the message that it is missing.
        kind: `file` or `folder`.
        hashed: whether its content is part of the fingerprint; large archives count by name and size.
    """

    path: str
    about: str
    kind: Literal["file", "folder"] = "file"
    hashed: bool = True

    def missing(self, root: Path) -> str | None:
        """What is wrong with it below `root`, in a line; None where it is there."""
        place = root / self.path
        there = kind_of(place)
        if there == self.kind:
            return None
        return f"{place}: {f'a {there} where a {self.kind} is expected' if there else 'missing'} ({self.about})"

    def hash_into(self, digest: Any, root: Path) -> None:
        """Take it into a fingerprint."""
        place = root / self.path
        digest.update(placeless(self.path).encode())
        if place.is_file() and self.hashed:
            with place.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        elif place.is_file():
            digest.update(str(place.stat().st_size).encode())


def placeless(value: Any) -> Any:
    """An option's value without where it lies: of a whole path, as a command line gives it, the last name."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
