"""Files that a reader sees whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlzoo.errors import VlzooError


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(
    path: Path, what: str, error: type[VlzooError] = VlzooError, fix: str = "make room, or write elsewhere"
) -> Iterator[None]:
    """Around code that writes `path`: a full disk or a forbidden place becomes one message about `what`.

    Raises:
        VlzooError: of the class `error`; the system refused.
    """
    try:
        yield
    except OSError as refused:
        full = refused.errno == errno.ENOSPC
        said = f"no room on the disk for {what}" if full else f"{what} can't be written: {refused.strerror or refused}"
        raise error(said, where=str(path), fix=fix) from refused
