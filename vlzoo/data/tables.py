"""Files of rows: a JSON list, an object that holds it, one object a line, csv or tsv; gzip or not. No torch here.

What a file is, its content says: JSON lines called `.json` and a list called `.jsonl` are read as what they are.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vlzoo.data.fields import short, typed
from vlzoo.data.reading import Record, loads, read_json, read_lines
from vlzoo.errors import DataError

MAX_FIELD = 16 * 2**20
"""The longest field of a csv or tsv file, in characters: a picture in base64 fits."""


def read_rows(path: str | Path, *inside: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Record]]:
    """The rows of a file that anybody wrote, with their places.

    Args:
        path: JSON of any of the forms, or a table where it is called `.csv` or `.tsv`; with `columns` a table may be
            called anything.
        inside: names of the list, where the file may be an object that holds it.
        columns: of a table that may have no line of names: a first line that holds one of these names is such a line.

    Raises:
        DataError: missing, a folder, of none of these forms, a row that is not an object, or no row at all.
    """
    found = False
    for where, row in _rows(path, inside, columns):
        found = True
        yield where, row
    if not found:
        raise DataError("holds no rows", where=str(path))


def _rows(path: str | Path, inside: Sequence[str], columns: Sequence[str] | None) -> Iterator[tuple[str, Record]]:
    if (delimiter := delimiter_of(path, named=columns is None)) is not None:
        headed = columns is None or _has_names(path, columns, delimiter)
        yield from read_table(path, columns=None if headed else columns, delimiter=delimiter)
        return
    whole = _whole(path, inside)
    if whole is None:
        yield from read_jsonl(path)
        return
    place = str(path)
    if (key := _key_inside(whole, inside)) is not None:
        place = f"{path}: {key}"
        whole = typed(whole[key], list, str(path), f"the value of {key!r}")
    for index, row in enumerate(whole if isinstance(whole, list) else [whole]):
        yield (where := f"{place}[{index}]"), typed(row, dict, where, "the entry")


def delimiter_of(path: str | Path, *, named: bool = True) -> str | None:
    """What separates the fields of a table, comma or tab; None where the file holds JSON.

    Args:
        path: the file. Its first line decides; its name only where that line can be read both ways.
        named: only what is called `.csv` or `.tsv` is a table.

    Raises:
        DataError: missing, a folder, or not UTF-8.
    """
    name = Path(path).name.removesuffix(".gz")
    ending = {".csv": ",", ".tsv": "\t"}.get(name[-4:])
    first = next((line for _, line in read_lines(path) if line.strip()), "")
    if (ending is None and named) or _opens_json(first, surely=ending is not None):
        return None
    present = [mark for mark in (ending, "\t", ",") if mark and mark in first]
    return present[0] if present else ending


def _opens_json(line: str, *, surely: bool) -> bool:
    """Whether a first line is one of JSON: it begins so, and `surely` also is a value or its lone bracket."""
    text = line.strip()
    if text[:1] not in ("{", "[") or not surely:
        return text[:1] in ("{", "[")
    try:
        return text in ("{", "[") or isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _key_inside(whole: Any, inside: Sequence[str]) -> str | None:
    return next((key for key in inside if isinstance(whole, dict) and key in whole), None)


def read_jsonl(path: str | Path) -> Iterator[tuple[str, Record]]:
    """The objects of a json-lines file with their places `file:line`; blank lines are passed over.

    Raises:
        DataError: missing, a folder, or a line that is not a json object.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = loads(line, where)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", None) or error
            raise DataError(f"not JSON: {why} in {short(line)}", where=where) from error
        yield where, typed(value, dict, where, "the line")


def read_table(
    path: str | Path, *, columns: Sequence[str] | None = None, delimiter: str = "\t", quoted: bool | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a csv or tsv file as mappings, with their places `file:line`.

    Args:
        path: the file.
        columns: names of the columns where the file has no header; None: the first line names them. Rows may lack
            trailing columns of `columns` but not have more.
        delimiter: what separates fields.
        quoted: whether `"` quotes fields; None: in csv yes, in tsv no, as Conceptual Captions and SBU are written.

    Raises:
        DataError: missing, a folder, or a row with a wrong number of fields.
    """
    quotes = quoted if quoted is not None else delimiter == ","
    rows = _quoted(path, delimiter) if quotes else _split(path, delimiter)
    names = list(columns) if columns is not None else next((fields for _, fields in rows), [])
    for number, fields in rows:
        where = f"{path}:{number}"
        if len(fields) > len(names) or (columns is None and len(fields) < len(names)):
            raise DataError(f"{len(fields)} fields, expected {len(names)}: {', '.join(names)}", where=where)
        yield where, dict(zip(names, fields, strict=False))


def _whole(path: str | Path, inside: Sequence[str]) -> Any:
    """The value of a file that is one JSON value; None where it holds one object a line, or nothing."""
    lines = (line for _, line in read_lines(path) if line.strip())
    first = next(lines, None)
    if first is None:
        return None
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        # A value of many lines. A first line of JSON lines that is broken is told as that line's fault.
        return read_json(path) if first.strip() in ("{", "[") or not _second_is_object(lines) else None
    if isinstance(value, list) or _key_inside(value, inside) is not None:
        return read_json(path)
    return None


def _second_is_object(lines: Iterator[str]) -> bool:
    try:
        return isinstance(json.loads(next(lines, "")), dict)
    except (ValueError, RecursionError):
        return False


def _has_names(path: str | Path, columns: Sequence[str], delimiter: str) -> bool:
    for _, fields in _quoted(path, delimiter):
        return any(field.strip() in columns for field in fields)
    return False


def _quoted(path: str | Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Fields that `"` may quote, with the line they end on."""
    csv.field_size_limit(MAX_FIELD)  # the process's, so every reader says its own
    # A lone carriage return in a field is a blank, not the end of a row, as csv would have it.
    rows = csv.reader(
        (line.replace("\r", " ") + "\n" for _, line in read_lines(path)), delimiter=delimiter, strict=True
    )
    try:
        for fields in rows:
            if fields:
                yield rows.line_num, fields
    except csv.Error as error:
        raise DataError(f"not a table: {error}", where=f"{path}:{rows.line_num}") from error


def _split(path: str | Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Fields of lines without quotes: whatever stands between two delimiters."""
    return ((number, line.split(delimiter)) for number, line in read_lines(path) if line)
