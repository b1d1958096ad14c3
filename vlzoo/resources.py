"""Where the recipes and published numbers lie: inside the wheel, or beside the package in a checkout."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlzoo.errors import VlzooError

_PACKAGE = Path(__file__).resolve().parent


def zoo_configs() -> Path:
    """The folder of recipes that comes with vlzoo."""
    shipped = _PACKAGE / "shipped" / "zoo_configs"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "zoo_configs"


def published() -> Path:
    """The file of published results that comes with vlzoo."""
    shipped = _PACKAGE / "shipped" / "published.yaml"
    return shipped if shipped.is_file() else _PACKAGE.parent / "benchmarks" / "published.yaml"


def cache_dir() -> Path:
    """The folder for what can be made again: `VLZOO_CACHE_DIR`, or `vlzoo` in the user's cache folder."""
    if chosen := os.environ.get("VLZOO_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vlzoo"


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
