"""Reading predictions and annotations that anybody made, and holding the one against the other."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from vlzoo.errors import DataError, PredictionError, did_you_mean

T = TypeVar("T")
Row = Mapping[str, Any]

_GZIP = b"\x1f\x8b"
_SHOWN = 5


class Refused(ValueError):
    """A value in a row of predictions that cannot be scored.

    Args:
        kind: what is wrong, as a plural: `answers that are not strings`.
        shown: the value.
    """

    def __init__(self, kind: str, shown: object) -> None:
        super().__init__(kind)
        self.kind, self.shown = kind, shown


@dataclass
class Faults:
    """What is wrong with a file, by kind; nothing is said until everything was looked at."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str) -> None:
        """Note one more fault of this kind."""
        self.found.setdefault(kind, []).append(name)

    def refuse(self, where: Path, fix: str | None = None) -> None:
        """Raise if anything was found.

        Raises:
            PredictionError: with every kind, its count and its first few names.
        """
        if self.found:
            raise PredictionError("; ".join(map(_counted, self.found, self.found.values())), where=str(where), fix=fix)


def _counted(kind: str, names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{len(names)} {kind}: {shown}" + (", ..." if len(names) > _SHOWN else "")


@dataclass(frozen=True)
class Collected(Generic[T]):
    """Predictions by id.

    Attributes:
        values: id -> prediction, in the order of the annotations.
        missing: ids without one; not empty only where that was allowed.
    """

    values: Mapping[str, T]
    missing: tuple[str, ...]


def read_bytes(path: Path) -> bytes:
    """A file's content, unpacked if it is gzip, whatever it is called.

    Raises:
        DataError: no such file, or a broken one.
    """
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw.startswith(_GZIP) else raw
    except (OSError, EOFError, zlib.error) as error:
        near = [found.name for found in path.parent.glob("*")] if path.parent.is_dir() else []
        fix = did_you_mean(path.name, near, what="in this folder") if near and not path.exists() else None
        why = getattr(error, "strerror", None) or error
        raise DataError(f"cannot be read: {why}", where=str(path), fix=fix) from None


def read_json(path: Path) -> Any:
    """The JSON value in a file, gzip or not.

    Raises:
        DataError: the file cannot be read or is not JSON.
    """
    text = _decode(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg}", where=f"{path}:{error.lineno}") from None


def read_rows(path: Path, inside: str | None = None) -> list[tuple[Row, str]]:
    """The rows of a file, each with its place for messages.

    A JSON list of objects, one object a line, or CSV with a header line (`.csv`); gzip or not.

    Args:
        path: the file.
        inside: name of the list, where the file may be an object that holds it.

    Raises:
        DataError: unreadable, empty, or rows that are not objects.
    """
    text = _decode(path)
    if path.name.removesuffix(".gz").endswith(".csv"):
        rows: list[tuple[Any, str]] = [(r, f"{path}:{n}") for n, r in enumerate(csv.DictReader(io.StringIO(text)), 2)]
    else:
        rows = _json_rows(text, path, inside)
    if not rows:
        raise DataError("holds no rows", where=str(path))
    for row, where in rows:
        if not isinstance(row, dict):
            raise DataError(f"expected an object, found {_short(row)}", where=where)
    return rows


def collect(
    path: Path,
    key: Callable[[Row], str],
    value: Callable[[Row], T],
    expected: Collection[str],
    *,
    allow_missing: bool = False,
) -> Collected[T]:
    """Predictions held against the ids that the annotations know.

    Args:
        path: file of predictions, as `read_rows` takes it.
        key: the id in a row; raises KeyError where the row has none.
        value: the prediction in a row; raises `Refused` or KeyError.
        expected: ids of the annotations.
        allow_missing: ids without a prediction are returned, not refused.

    Raises:
        PredictionError: rows without the needed fields, unknown, duplicate or missing ids, values that cannot be
            scored: all of them at once, counted, with the first few named.
    """
    known, values, seen, faults = frozenset(expected), dict[str, T](), set[str](), Faults()
    for row, where in read_rows(path):
        try:
            name = key(row)
            values[name] = value(row)
        except KeyError as error:
            faults.add(f"rows without {error.args[0]!r}", f"at {where.removeprefix(f'{path}:')}")
            continue
        except Refused as refused:
            faults.add(refused.kind, f"{name} has {_short(refused.shown)}")
        if name in seen:
            faults.add("duplicate ids", name)
        elif name not in known:
            faults.add("unknown ids", name)
        seen.add(name)
    missing = tuple(name for name in expected if name not in seen)
    for name in () if allow_missing and len(missing) < len(known) else missing:
        faults.add("missing ids", name)
    faults.refuse(path, _remedy(faults, len(known)))
    return Collected({name: values[name] for name in expected if name in values}, missing)


def fingerprint(path: Path) -> str:
    """Name of a file with the first twelve digits of its content's SHA-256 (unpacked), as printed with a score."""
    return f"{path.name} (sha256 {hashlib.sha256(read_bytes(path)).hexdigest()[:12]})"


def text_id(row: Row, name: str) -> str:
    """The id under `name` as text; 17 and "17" are the same id.

    Raises:
        KeyError: the row has none, or one that is neither a whole number nor text.
    """
    found = row[name]
    if isinstance(found, bool) or not isinstance(found, (int, str)):
        raise KeyError(name)
    return str(found)


def _remedy(faults: Faults, known: int) -> str | None:
    if len(faults.found.get("missing ids", ())) == known:
        return "not one prediction belongs to these annotations: are they of another split?"
    if set(faults.found) == {"missing ids"}:
        return "--allow-missing counts them as wrong and says so beside the number"
    return "every id must be in the annotations, once, with a value that can be scored"


def _decode(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text: {error.reason} at byte {error.start}", where=str(path)) from None


def _json_rows(text: str, path: Path, inside: str | None) -> list[tuple[Any, str]]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return _line_rows(text, path)
    if isinstance(whole, dict) and inside is not None and inside in whole:
        whole = whole[inside]
    listed = whole if isinstance(whole, list) else [whole]
    return [(row, f"{path}:[{n}]") for n, row in enumerate(listed)]


def _line_rows(text: str, path: Path) -> list[tuple[Any, str]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append((json.loads(line), f"{path}:{number}"))
            except json.JSONDecodeError as error:
                raise DataError(f"not JSON: {error.msg} in {_short(line)}", where=f"{path}:{number}") from None
    return rows


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
