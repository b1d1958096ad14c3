"""Names of a detector's classes, from a file. No torch here."""

from __future__ import annotations

from pathlib import Path

from vlzoo.errors import DataError

BACKGROUNDS = ("__background__", "background")


def read_names(file: str | Path) -> tuple[str, ...]:
    """Names of classes, one a line (of several by commas the first), without the background.

    >>> _ = (folder / "names.txt").write_text("__background__\\ntree\\nman,person\\n")
    >>> read_names(folder / "names.txt")
    ('tree', 'man')

    Raises:
        DataError: the file can't be read.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"the names of the classes can't be read: {error}", where=str(file)) from error
    names = [line.split(",")[0].strip() for line in lines if line.strip()]
    return tuple(names[1:] if names and names[0].lower() in BACKGROUNDS else names)
