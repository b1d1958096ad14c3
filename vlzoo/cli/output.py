"""How commands print: tables that fit the window, JSON that nothing else is mixed into, streams that may go away."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

from vlzoo.errors import VlzooError
from vlzoo.processes import here
from vlzoo.screen import width, window, wrapped

NARROW = 24
"""Columns that the column which wraps is not made narrower than, as long as others can be."""

LEAST = 12
"""Columns that no column is made narrower than."""


def table(rows: Sequence[Sequence[str]], *, indent: int = 0, wrap: int | None = None) -> None:
    """Print rows in aligned columns that fit the window: column `wrap` gives way first, then the widest.

    Written here, not with rich: importing rich costs more than `vlzoo list` may take.
    """
    if not rows:
        return
    widths = _fitting([list(column) for column in zip(*rows, strict=True)], indent, wrap)
    for row in rows:
        for line in _lines(row, widths):
            click.echo(" " * indent + line)


def _fitting(columns: list[list[str]], indent: int, wrap: int | None) -> list[int]:
    """Widths of columns that fit the window together, where they can."""
    widths = [max(map(width, column)) for column in columns]
    room = window() - indent - 2 * (len(widths) - 1)
    if wrap is not None:
        widths[wrap] = max(1, min(widths[wrap], max(NARROW, room - sum(widths) + widths[wrap])))
    # A file or another program takes rows as they are: whoever looks for a key in them finds it whole.
    fixed = not (sys.stdout.isatty() or os.environ.get("COLUMNS"))
    while not fixed and sum(widths) > room and max(widths) > LEAST:
        widest = widths.index(max(widths))
        # To where its cells really fold: then a column of numbers may stay as it is.
        folded = [line for cell in columns[widest] for line in wrapped(cell, widths[widest] - 1)]
        widths[widest] = max(map(width, folded))
    return widths


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    folded = [wrapped(cell, most) if width(cell) > most else [cell] for cell, most in zip(row, widths, strict=True)]
    height = max(len(cell) for cell in folded)
    cells = [[*cell, *[""] * (height - len(cell))] for cell in folded]
    return [
        "  ".join(text + " " * (most - width(text)) for text, most in zip(line, widths, strict=True)).rstrip()
        for line in zip(*cells, strict=True)
    ]


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    text = json_text(value)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, or a terminal of another encoding
        text = json_text(value, ascii_=True)
    click.echo(text)


def json_text(value: Any, *, ascii_: bool = False) -> str:
    """A value as JSON that every reader takes (RFC 8259): what is no number there, NaN or infinite, is null.

    >>> json_text({"loss": float("nan"), "word": "é"})
    '{\\n  "loss": null,\\n  "word": "é"\\n}'

    Args:
        value: mappings, sequences, numbers and texts, numpy's too; of anything else its text is written.
        ascii_: write other characters as escapes.
    """
    return json.dumps(_strict(value), indent=2, ensure_ascii=ascii_, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _strict(each) for key, each in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [_strict(each) for each in value]
    return _strict(value.tolist()) if hasattr(value, "tolist") else str(value)


class Outlet(io.FileIO):
    """Where a stream's bytes go. When nobody takes them any more the rest is dropped, and the work goes on.

    Attributes:
        fault: why they could not be written; None as long as they could.
    """

    fault: OSError | None = None

    def write(self, data: Any) -> int:
        """As FileIO's; after a fault it is said to be written."""
        if self.fault is None:
            try:
                return super().write(data)
            except OSError as error:
                self.fault = error
        return len(data)


@contextmanager
def outlets() -> Iterator[None]:
    """Standard output and error that any character can be printed to, and that may be closed or full.

    A reader that has read enough (`vlzoo list | head -1`) is no mistake: the command ends as it would have.

    Raises:
        VlzooError: standard output could not be written, for another reason than that its reader has gone.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _outlet(before[0]), _outlet(before[1])
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
        sys.stdout, sys.stderr = before
    fault = raw.fault if isinstance(raw, Outlet) else None
    if fault is not None and fault.errno != errno.EPIPE:
        raise VlzooError(f"standard output can't be written: {fault.strerror}", fix="send it to a place with room")


def _outlet(stream: TextIO) -> TextIO:
    try:
        stream.flush()
        raw = Outlet(stream.fileno(), "wb", closefd=False)
    except (AttributeError, OSError, ValueError):  # closed, or something that a caller put there
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=raw.isatty(),
    )


@contextmanager
def one_voice() -> Iterator[None]:
    """Within it, of several processes that work together the leading one tells what is wrong for all."""
    try:
        yield
    except (VlzooError, KeyboardInterrupt) as error:
        if here().leads:
            raise
        raise click.exceptions.Exit(error.exit_code if isinstance(error, VlzooError) else 130) from error


def bytes_of(text: str, option: str) -> int:
    """A size as it is written: `500MB`, `8GB`, or a number of bytes.

    >>> bytes_of("5MB", "--most"), bytes_of("1.5K", "--most"), bytes_of("70", "--most")
    (5000000, 1500, 70)

    Raises:
        VlzooError: it is no size, or none above zero.
    """
    number = text.upper().removesuffix("B")
    factor = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}.get(number[-1:], 1)
    try:
        size = int(float(number.rstrip("KMGT")) * factor)
    except ValueError:
        size = 0
    if size < 1:
        raise VlzooError(f"{option} {text!r} is no size", fix="write 500MB, 8GB, or a number of bytes")
    return size
