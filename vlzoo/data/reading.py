"""Reading annotation files, with errors that name the file and the line, key or id. No torch here.

Every reader takes plain or gzipped files (`.gz`). What one record lacks is a `DataError` of the whole file, because a
file in another format must not be read as an almost empty one; single bad values go through `vlzoo.data.cleaning`.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from vlzoo.data.fields import short, typed
from vlzoo.errors import DataError, did_you_mean

T = TypeVar("T")
Record = dict[str, Any]
_GZIP = b"\x1f\x8b"


def require_file(path: str | Path) -> Path:
    """`path`, once it is sure that it is a file.

    Raises:
        DataError: nothing is there, or a folder; offers the nearest name beside it.
    """
    file = Path(path) if isinstance(path, str) else path
    there = kind_of(file)
    if there == "file":
        return file
    if there == "folder":
        raise DataError("a folder where a file is expected", where=str(file))
    if not file.parent.is_dir():
        raise DataError("there is no such file, and no such folder", where=str(file), fix="is the root right?")
    beside = [entry.name for entry in file.parent.iterdir()]
    raise DataError("there is no such file", where=str(file), fix=did_you_mean(file.name, beside, what="beside it"))


def require_folder(path: str | Path) -> Path:
    """`path`, once it is sure that it is a folder.

    Raises:
        DataError: nothing is there, or a file.
    """
    folder = Path(path) if isinstance(path, str) else path
    there = kind_of(folder)
    if there == "folder":
        return folder
    raise DataError("a file where a folder is expected" if there else "there is no such folder", where=str(folder))


def kind_of(path: Path) -> str:
    """What is at a place: `file`, `folder`, or nothing: an empty text.

    Raises:
        DataError: the system refuses to look: a name that is too long, a folder that may not be entered.
    """
    try:
        return "file" if path.is_file() else "folder" if path.is_dir() else ""
    except OSError as error:
        said = error.strerror or error
        raise DataError(f"there is no such file or folder: {said}", where=short(str(path))) from error


def read_text(path: str | Path) -> str:
    """The whole text of a file in UTF-8, a byte-order mark dropped.

    Raises:
        DataError: missing, a folder, damaged, or not UTF-8.
    """
    return "".join(_lines(require_file(path)))


def read_bytes(path: str | Path) -> bytes:
    """A file's content, unpacked if it is gzip, whatever it is called.

    Raises:
        DataError: missing, a folder, or damaged.
    """
    file = require_file(path)
    try:
        raw = file.read_bytes()
        return gzip.decompress(raw) if raw.startswith(_GZIP) else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"can't be read: {error}", where=str(path), fix="is it cut off?") from error


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Line numbers from 1 and lines of a UTF-8 file, line ends stripped.

    Raises:
        DataError: missing, a folder, damaged, or not UTF-8.
    """
    for number, line in enumerate(_lines(require_file(path)), start=1):
        yield number, line.rstrip("\r\n")


def read_json(path: str | Path, kind: type[T] | None = None) -> Any:
    """The value in a json file.

    Args:
        path: the file.
        kind: what its top level must be, `list` or `dict`.

    Raises:
        DataError: missing, a folder, not json (with its line), or of another kind.
    """
    try:
        value = loads(read_text(path), str(path))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise DataError(f"not JSON: {error}", where=f"{path}:{line}", fix="is it cut off?") from error
    return value if kind is None else typed(value, kind, f"{path}", "the top level")


def loads(text: str, where: str) -> Any:
    """The value of a JSON text, whose objects hold each key once: `json` itself keeps the last and says nothing.

    Raises:
        ValueError, RecursionError: it is not JSON.
        DataError: a key is there twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> Record:
        found = dict(pairs)
        if len(found) < len(pairs):
            key = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise DataError(f"{key!r} is there twice in {short(found)}", where=where, fix="drop one of the two")
        return found

    return json.loads(text, object_pairs_hook=once)


def read_skip_list(path: str | Path) -> frozenset[str]:
    """The picture names in a list of faults (json lines with `where`) or a plain list, one name a line."""
    names = set()
    for number, line in read_lines(path):
        try:
            names.add(json.loads(line)["where"] if line.startswith("{") else line.strip())
        except (ValueError, KeyError, TypeError) as error:
            raise DataError("not an entry of a list of faults", where=f"{path}:{number}") from error
    return frozenset(names - {""})


def first_existing(root: str | Path, names: Iterable[str]) -> str:
    """The first of several accepted names that is there below `root`; the first of all where none is."""
    choices = list(names)
    return next((name for name in choices if kind_of(Path(root) / name)), choices[0])


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _lines(path: Path) -> Iterator[str]:
    number = 0
    try:
        packed = _is_gzip(path)
        with path.open("rb") as whole, gzip.open(whole, "rb") if packed else whole as file:
            for raw in file:
                number += 1
                yield str(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text: {error.reason}", where=f"{path}:{number}", fix="convert the file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"can't be read: {error}", where=f"{path}:{number + 1}", fix="is it cut off?") from error
