"""Pictures in the rows of parquet and Arrow files, here or behind a URL: read by groups of rows. No torch here.

A group is what such a file can be read by: a row group of parquet, a record batch of Arrow. What was read is kept while
rows of it are due, because they are asked for near each other (`vlzoo.data.blocks`).
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from vlzoo.data.decoding import MAX_PIXELS
from vlzoo.data.images import check_bytes, open_picture
from vlzoo.data.places import is_url, place
from vlzoo.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL.Image import Image

HELD = min(2**32, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8)
"""Bytes of groups that a process keeps, at least the one that was read last: others keep as much beside it."""
SPARE = 2**29
"""Bytes to which groups go whose rows were all read."""
LARGEST = 2**32
"""Bytes of a group; a larger one would not fit in memory beside those of other workers."""
ARROW_FILE = b"ARROW1"
"""How Arrow's file format begins; its stream format has no such mark."""


class Group(NamedTuple):
    """Rows of a file that are read together: how many, and where their message begins in Arrow's stream format."""

    rows: int
    offset: int = -1


@dataclass(frozen=True)
class RowImage:
    """A picture in a row of a parquet or Arrow file.

    Attributes:
        file: its path or URL.
        group: the number of the group of rows, and `offset` as `Group` has it.
        offset: likewise.
        due: how many rows of the group a source reads: once all were, it may be forgotten; 0: nobody knows.
        row: the row in the group.
        column: which holds pictures: bytes, or a struct with `bytes`.
        key: the row's name, for messages.
        max_pixels: the bound on width times height.
    """

    file: str
    group: int
    offset: int
    due: int
    row: int
    column: str
    key: str
    max_pixels: int = MAX_PIXELS

    @property
    def name(self) -> str:
        """`shard.parquet!/key`."""
        return f"{self.file}!/{self.key}"

    def open(self) -> Image:
        """The decoded RGB picture.

        Raises:
            DataError: the file can't be read, the row holds no bytes, or they are no picture.
        """
        return open_picture(self.name, self._stream, self.max_pixels)

    def _stream(self) -> IO[bytes]:
        value = _HELD.value(self).as_py()
        data = value["bytes"] if isinstance(value, dict) else value
        if not data:
            raise DataError("the row holds no picture", where=self.name)
        check_bytes(len(data), self.name, self.max_pixels)
        return io.BytesIO(data)


@dataclass
class Kept:
    """A column of a group, how many of its rows a source reads, and which of them were asked for."""

    column: pa.ChunkedArray
    due: int
    asked: set[int] = field(default_factory=set)

    @property
    def used_up(self) -> bool:
        """Whether every row that is due was asked for."""
        return len(self.asked) >= self.due


class Held:
    """The columns that were read last: those with rows still due up to one bound in bytes, with others up to a lower.

    Args:
        most: the bound.
        spare: the lower one.
    """

    def __init__(self, most: int = HELD, spare: int = SPARE) -> None:
        self.most, self.spare, self.reads = most, spare, 0
        self._kept = OrderedDict[tuple[str, int, str], Kept]()

    def value(self, of: RowImage) -> Any:
        """What a row's column holds, as Arrow's scalar."""
        key = (of.file, of.group, of.column)
        if key not in self._kept:
            self.reads += 1
            self._kept[key] = Kept(_read(of.file, Group(0, of.offset), of.group, of.column), of.due)
            self._forget(key)
        kept = self._kept[key]
        self._kept.move_to_end(key)
        kept.asked.add(of.row)
        return kept.column[of.row]

    def _forget(self, newest: tuple[str, int, str]) -> None:
        held = sum(kept.column.nbytes for kept in self._kept.values())
        by_need = sorted(self._kept, key=lambda key: not self._kept[key].used_up)  # of equal need the longest unasked
        for key in by_need:
            kept = self._kept[key]
            if key != newest and held > (self.spare if kept.used_up else self.most):
                held -= kept.column.nbytes
                del self._kept[key]


_HELD = Held()


def schema_of(file: str) -> pa.Schema:
    """The columns of a file.

    Raises:
        DataError: it can't be read.
    """
    return _guarded(file, lambda: _opened(file, _changed(file)).schema)


def groups(file: str) -> list[Group]:
    """The groups of rows of a file, in order; no picture is read but in Arrow's stream format.

    Raises:
        DataError: it can't be read, or a group is too large.
    """
    return _guarded(file, lambda: list(_opened(file, _changed(file)).groups()))


def _guarded(file: str, work: Any) -> Any:
    try:
        return work()
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError("there is no such shard", where=file) from error
    # Besides Arrow's errors, those of every file system.
    except Exception as error:
        what = f"the shard can't be read: {str(error) or type(error).__name__}"
        raise DataError(what, where=file, fix="is it cut off? download it again") from error


def _read(file: str, at: Group, number: int, name: str) -> pa.ChunkedArray:
    return _guarded(file, lambda: _opened(file, _changed(file)).column(at, number, name))


def _changed(file: str) -> tuple[int, int]:
    """The process, as forked ones must not share one file offset, and the file's last change, if it lies here."""
    return os.getpid(), 0 if is_url(file) else os.stat(file).st_mtime_ns


@lru_cache(maxsize=64)
def _opened(file: str, _changed: tuple[int, int]) -> Parquet | ArrowFile | ArrowStream:
    """A file, opened once in each process and after each change."""
    import pyarrow as pa

    stream = pa.PythonFile(place(file).open("rb"), mode="r") if is_url(file) else pa.memory_map(file)
    if file.endswith(".parquet"):
        return Parquet(stream, file)
    mark = stream.read(len(ARROW_FILE))
    stream.seek(0)
    return ArrowFile(stream) if mark == ARROW_FILE else ArrowStream(stream)


class Parquet:
    """A parquet file by its row groups."""

    def __init__(self, stream: Any, file: str) -> None:
        import pyarrow.parquet as pq

        self.file, self.name = pq.ParquetFile(stream, pre_buffer=True), file
        self.schema = self.file.schema_arrow

    def groups(self) -> Iterator[Group]:
        """The row groups."""
        for number in range(self.file.metadata.num_row_groups):
            about = self.file.metadata.row_group(number)
            if about.total_byte_size > LARGEST:
                what = f"row group {number} holds {about.num_rows:,} rows and {about.total_byte_size / 2**30:.0f} GiB"
                fix = "write it again with smaller ones (row_group_size=100): a group is read as a whole"
                raise DataError(what, where=self.name, fix=fix)
            yield Group(about.num_rows)

    def column(self, _at: Group, number: int, name: str) -> pa.ChunkedArray:
        """A column of a row group."""
        return self.file.read_row_group(number, columns=[name], use_threads=False).column(name)


class ArrowFile:
    """Arrow's file format by its record batches."""

    def __init__(self, stream: Any) -> None:
        import pyarrow as pa

        self.reader = pa.ipc.open_file(stream)
        self.schema = self.reader.schema

    def groups(self) -> Iterator[Group]:
        """The record batches."""
        for number in range(self.reader.num_record_batches):
            yield Group(self.reader.get_batch(number).num_rows)

    def column(self, _at: Group, number: int, name: str) -> pa.ChunkedArray:
        """A column of a record batch."""
        return self.reader.get_batch(number).column(self.schema.get_field_index(name))


class ArrowStream:
    """Arrow's stream format, as `datasets` saves: its record batches by where their messages begin."""

    def __init__(self, stream: Any) -> None:
        import pyarrow as pa

        self.stream = stream
        self.schema = pa.ipc.read_schema(pa.ipc.read_message(stream))
        self.begin = stream.tell()

    def groups(self) -> Iterator[Group]:
        """The record batches; read one after the other, as nothing lists them."""
        import pyarrow as pa

        self.stream.seek(self.begin)
        while True:
            offset = self.stream.tell()
            try:
                message = pa.ipc.read_message(self.stream)
            except EOFError:
                return
            if message is None or message.type != "record batch":
                raise DataError(f"a {getattr(message, 'type', 'missing')} message where rows are expected")
            yield Group(pa.ipc.read_record_batch(message, self.schema).num_rows, offset)

    def column(self, at: Group, _number: int, name: str) -> pa.ChunkedArray:
        """A column of a record batch."""
        import pyarrow as pa

        self.stream.seek(at.offset)
        batch = pa.ipc.read_record_batch(pa.ipc.read_message(self.stream), self.schema)
        return batch.column(self.schema.get_field_index(name))
