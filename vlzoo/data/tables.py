"""Files of rows that anybody wrote: a JSON list, an object that holds it, one object a line, or CSV; gzip or not.

No torch here.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlzoo.data.reading import MAX_FIELD
from vlzoo.errors import DataError, did_you_mean
from vlzoo.types import Row

_GZIP = b"\x1f\x8b"


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


def read_rows(path: Path, inside: str | None = None) -> list[tuple[Row, str]]:
    """The rows of a file, each with its place for messages.

    Args:
        path: the file; with a header line where it is `.csv`.
        inside: name of the list, where the file may be an object that holds it.

    Raises:
        DataError: unreadable, empty, or rows that are not objects.
    """
    text = _decode(path)
    rows = _csv_rows(text, path) if path.name.removesuffix(".gz").endswith(".csv") else _json_rows(text, path, inside)
    if not rows:
        raise DataError("holds no rows", where=str(path))
    for row, where in rows:
        if not isinstance(row, dict):
            raise DataError(f"expected an object, found {short(row)}", where=where)
    return rows


def text_id(row: Mapping[str, Any], name: str) -> str:
    """The id under `name` as text; 17 and "17" are the same id.

    Raises:
        KeyError: the row has none, or one that is neither a whole number nor text.
    """
    found = row[name]
    if isinstance(found, bool) or not isinstance(found, (int, str)):
        raise KeyError(name)
    return str(found)


def short(value: object) -> str:
    """A value for a message, cut to a readable length."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _decode(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text: {error.reason} at byte {error.start}", where=str(path)) from None


def _csv_rows(text: str, path: Path) -> list[tuple[Any, str]]:
    csv.field_size_limit(MAX_FIELD)  # the process's, so every reader says its own
    reader = csv.DictReader(io.StringIO(text))
    try:
        return [(row, f"{path}:{number}") for number, row in enumerate(reader, 2)]
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", where=f"{path}:{reader.line_num + 1}") from None


def _json_rows(text: str, path: Path, inside: str | None) -> list[tuple[Any, str]]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
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
            except (ValueError, RecursionError) as error:
                why = getattr(error, "msg", None) or error
                raise DataError(f"not JSON: {why} in {short(line)}", where=f"{path}:{number}") from None
    return rows
