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
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vlzoo.errors import DataError, did_you_mean

T = TypeVar("T")
Record = dict[str, Any]
_GZIP = b"\x1f\x8b"

MAX_INTEGER = 2**63
"""Whole numbers of a file lie below it, and from minus it on: tables keep them in 64 bits."""

_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bool: "true or false",
}


def require_file(path: str | Path) -> Path:
    """`path`, once it is sure that it is a file.

    Raises:
        DataError: nothing is there, or a folder; offers the nearest name beside it.
    """
    file = Path(path)
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
    folder = Path(path)
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
        raise DataError(f"there is no such file or folder: {error.strerror}", where=short(str(path))) from error


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


def need(record: Mapping[str, Any], key: str, kind: type[T], where: str) -> T:
    """`record[key]`, checked.

    Raises:
        DataError: the key is missing (offers the nearest one) or its value is not of `kind`.
    """
    if key not in record:
        raise DataError(f"no key {key!r}", where=where, fix=did_you_mean(key, map(str, record), what="keys"))
    return typed(record[key], kind, where, f"the value of {key!r}")


def optional(record: Mapping[str, Any], key: str, kind: type[T], where: str) -> T | None:
    """`record[key]`, checked; None where the key is missing or its value is null.

    Raises:
        DataError: the value is not of `kind`, or a text that cannot be written again.
    """
    value = record.get(key)
    if isinstance(value, str) and _is_broken(value):
        raise DataError(f"the value of {key!r} is {short(value)}, which holds half a character", where=where)
    return None if value is None else typed(value, kind, where, f"the value of {key!r}")


def flag(record: Mapping[str, Any], key: str, where: str) -> bool:
    """`record[key]`, a yes or no that files write as 1 or 0 or as true or false; False where it is missing or null.

    Raises:
        DataError: another value: "0" would count as yes, and not a number as well.
    """
    value = record.get(key)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise DataError(f"the value of {key!r} is {short(value)}, expected 0 or 1", where=where)


def typed(value: Any, kind: type[T], where: str, what: str = "the value") -> T:
    """`value`, checked; a whole number passes as a number, true and false do not.

    Raises:
        DataError: it is of another kind, or a whole number of more than 64 bits; shows it.
    """
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if isinstance(value, bool) and kind not in (bool, object):
        fits = False
    if not fits:
        raise DataError(f"{what} is {short(value)}, expected {_NAMES.get(kind, kind.__name__)}", where=where)
    if kind in (int, float) and isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
        raise DataError(f"{what} is {short(value)}, a number of more than 64 bits", where=where)
    return float(value) if kind is float else value  # type: ignore[return-value]


def identifier(record: Mapping[str, Any], key: str, where: str) -> str:
    """An id as text; files give it as a number or as text.

    Raises:
        DataError: the key is missing, or its value is neither.
    """
    value = need(record, key, object, where)
    if isinstance(value, float) and value.is_integer():
        fix = f"write {value:.0f}: whole numbers become decimals where a program found gaps in their column"
        raise DataError(f"the id {key!r} is {value!r}, a decimal number", where=where, fix=fix)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise DataError(f"the id {key!r} is {short(value)}, expected a whole number or text", where=where)
    if isinstance(value, str) and _is_broken(value):
        raise DataError(f"the id {key!r} is {short(value)}, which holds half a character", where=where)
    return str(typed(value, type(value), where, f"the id {key!r}"))


def optional_identifier(record: Mapping[str, Any], key: str, where: str) -> str | None:
    """An id as text; None where the key is missing or its value is null.

    Raises:
        DataError: it is neither a number nor text.
    """
    return None if record.get(key) is None else identifier(record, key, where)


def _is_broken(text: str) -> bool:
    """Whether a text holds one half of a pair of surrogates, which JSON's escapes can write and UTF-8 cannot."""
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


def short(value: object) -> str:
    """A value for a message, cut to a readable length."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


class Ids:
    """The ids that were met so far. Readers and scorers ask it alike, so that both know the same duplicates.

    Args:
        what: what an id is called.
        numbers: ids are numbers, so that "007" is 7; else it is another text.
        fix: what to do about one that is there twice.
    """

    def __init__(self, what: str, *, numbers: bool = False, fix: str = "drop one of the two") -> None:
        self.what, self.numbers, self.fix = what, numbers, fix
        self._met: set[str] = set()

    def add(self, name: str, where: str) -> None:
        """Take one more id.

        Raises:
            DataError: it was met before.
        """
        plain = (name.lstrip("0") or "0") if self.numbers and name.isdecimal() else name
        if plain in self._met:
            raise DataError(f"{self.what} {name!r} is there twice", where=where, fix=self.fix)
        self._met.add(plain)


def unique(pairs: Iterable[tuple[str, T]], what: str, where: str, *, numbers: bool = False) -> dict[str, T]:
    """A mapping from pairs whose first entry must not repeat.

    Raises:
        DataError: names the id that is there twice.
    """
    found: dict[str, T] = {}
    ids = Ids(what, numbers=numbers)
    for key, value in pairs:
        ids.add(key, where)
        found[key] = value
    return found


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
        with gzip.open(path, "rb") if _is_gzip(path) else path.open("rb") as file:
            for raw in file:
                number += 1
                yield str(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text: {error.reason}", where=f"{path}:{number}", fix="convert the file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"can't be read: {error}", where=f"{path}:{number + 1}", fix="is it cut off?") from error
