"""Rows of annotations held in Arrow: compact, safe to share between forked workers, memory-mapped where large.

Millions of captions as Python objects cost ten times their text, and every forked worker copies them as it counts
references; an Arrow table costs its text, and a memory-mapped one is shared by all workers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from vlzoo import __version__
from vlzoo.data.fields import short
from vlzoo.errors import DataError
from vlzoo.files import replacing, write_text
from vlzoo.resources import cache_dir
from vlzoo.types import Row

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 8192
"""Rows turned into Arrow at a time."""


class Rows(Sequence[Row]):
    """An Arrow table read as a sequence of mappings."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        # Offsets of the chunks, so that one row costs a search in them and no copy.
        self._batches = table.to_batches()
        self._ends = _ends(batch.num_rows for batch in self._batches)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """One row, or several; `IndexError` beyond the end."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        from bisect import bisect_right

        chunk = bisect_right(self._ends, place)
        start = self._ends[chunk - 1] if chunk else 0
        batch = self._batches[chunk]
        return {name: batch.column(i)[place - start].as_py() for i, name in enumerate(batch.schema.names)}

    def __iter__(self) -> Iterator[Row]:
        for batch in self._batches:
            yield from batch.to_pylist()


def _ends(sizes: Iterable[int]) -> list[int]:
    ends: list[int] = []
    for size in sizes:
        ends.append(size + (ends[-1] if ends else 0))
    return ends


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of short type words: `str`, `int`, `float`, `bool`, `strs`, `boxes`.

    `boxes` is a list of `{box: [x, y, w, h], texts: [...], crowd, attributes: [...], id}`.
    """
    import pyarrow as pa

    box = {"box": pa.list_(pa.float64(), 4), "texts": pa.list_(pa.string()), "crowd": pa.bool_()}
    box |= {"attributes": pa.list_(pa.string()), "id": pa.string()}
    types = {
        "str": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "strs": pa.list_(pa.string()),
        "boxes": pa.list_(pa.struct(list(box.items()))),
    }
    return pa.schema([(name, types[word]) for name, word in columns.items()])


def in_memory(rows: Iterable[Row], columns: Mapping[str, str], source: str = "") -> Rows:
    """The rows as an Arrow table in memory; they are read `BATCH` at a time.

    Args:
        rows: read `BATCH` at a time.
        columns: the schema's words.
        source: the files that the rows are of, for messages.

    Raises:
        DataError: a value that its column cannot hold.
    """
    import pyarrow as pa

    schema = arrow_schema(columns)
    return Rows(pa.Table.from_batches(list(_batches(rows, schema, source)), schema=schema))


def mapped(
    rows: Iterable[Row], columns: Mapping[str, str], file: Path, notes: Mapping[str, Any], source: str = ""
) -> Rows:
    """The rows as a memory-mapped Arrow file, written whole or not at all.

    Args:
        rows: read only once the file is being written.
        columns: the schema's words.
        file: where it will lie.
        notes: kept beside it as json, read by `reopened`; filled while the rows are read.
        source: the files that the rows are of, for messages.

    Raises:
        DataError: a value that its column cannot hold.
    """
    import pyarrow as pa

    schema = arrow_schema(columns)
    with replacing(file) as fresh:
        with pa.OSFile(str(fresh), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for batch in _batches(rows, schema, source):
                writer.write_batch(batch)
        # The notes first: a table is never seen without them.
        write_text(_notes_file(file), json.dumps(notes, ensure_ascii=False))
    return _open(file)


def reopened(file: Path) -> tuple[Rows, dict[str, Any]] | None:
    """The rows and notes that `mapped` wrote; None where there are none.

    Raises:
        DataError: the file is damaged.
    """
    if not file.is_file() or not _notes_file(file).is_file():
        return None
    return _open(file), json.loads(_notes_file(file).read_text(encoding="utf-8"))


def cache_file(folder: Path, name: str, files: Iterable[Path], options: str) -> Path:
    """Where the table of these annotation files lies: another size, time, option or version is another table."""
    facts = [_stamp(file) for file in files]
    key = hashlib.sha256(repr((name, facts, options, __version__)).encode()).hexdigest()[:20]
    return folder / f"{name.replace('/', '-')}-{key}.arrow"


def _stamp(file: Any) -> tuple[str, object, object]:
    """What changes with a file: behind a URL that which its file system says does."""
    if isinstance(file, Path):
        return str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns
    return str(file), file.stat().st_size, file.fs.ukey(file.path)


def cache_folder() -> Path:
    """Where tables are kept: `data` in vlzoo's cache folder."""
    return cache_dir() / "data"


def _batches(rows: Iterable[Row], schema: pa.Schema, source: str) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    lists = [column.name for column in schema if pa.types.is_list(column.type)]
    reader, read = iter(rows), 0
    while taken := list(islice(reader, BATCH)):
        try:
            # Arrow takes a text for a list of its letters.
            if any(isinstance(row.get(name), str) for name in lists for row in taken):
                raise TypeError("a text, no list")
            batch = pa.RecordBatch.from_pylist(taken, schema=schema)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise _refused(taken, schema, read, source) or error from error
        read += len(taken)
        yield batch


def _refused(taken: Sequence[Row], schema: pa.Schema, read: int, source: str) -> DataError | None:
    """The first value that no column holds, with its place; what readers know they have checked before."""
    for number, row in enumerate(taken, start=read):
        for column in schema:
            if (why := _misfit(row.get(column.name), column.type)) is not None:
                called = next((f" ({row[key]!r})" for key in ("id", "name") if key in row and key != column.name), "")
                what = f"{column.name!r} of row {number}{called} is {short(row[column.name])}"
                return DataError(f"{what}, which is no {column.type}: {why}", where=source or None)
    return None


def _misfit(value: Any, kind: pa.DataType) -> str | None:
    import pyarrow as pa

    if pa.types.is_list(kind) and isinstance(value, str):
        return "a text, no list"
    try:
        pa.array([value], type=kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        return str(error)
    return None


def _open(file: Path) -> Rows:
    import pyarrow as pa

    try:
        return Rows(pa.ipc.open_file(pa.memory_map(str(file))).read_all())
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"the cached table is damaged: {error}", where=str(file), fix="delete it") from error


def _notes_file(file: Path) -> Path:
    return file.with_name(file.name + ".json")
