"""Rows of parquet and Arrow files through `datasets`, whose errors become ours. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from vlzoo.errors import DataError, did_you_mean


def load_rows(files: Sequence[str], *, kind: str = "parquet", streaming: bool, **options: Any) -> Any:
    """The rows of files: a memory-mapped `datasets.Dataset`, or an `IterableDataset`.

    Args:
        files: their paths or URLs.
        kind: what they are, as `datasets` calls it: `parquet`, `arrow`.
        streaming: read them row by row, and keep nothing on disk.
        options: of that kind: `columns` for parquet.

    Raises:
        DataError: `datasets` can't read them.
    """
    import datasets

    try:
        with_bar = datasets.is_progress_bar_enabled()
        datasets.disable_progress_bars()
        found = datasets.load_dataset(kind, data_files=list(files), split="train", streaming=streaming, **options)
    except Exception as error:
        raise _unreadable(files[0] if streaming else Path(files[0]).parent, error) from error
    finally:
        if with_bar:
            datasets.enable_progress_bars()
    return found


def undecoded(rows: Any, picture: str, caption: str, root: str | Path) -> Any:
    """Rows of `datasets` whose pictures are not decoded.

    Raises:
        DataError: a column is missing, pictures are no bytes, or captions no text.
    """
    from datasets import Image

    features = rows.features or {}
    for column in (picture, caption):
        if column not in features:
            fix = did_you_mean(column, features, what="columns")
            raise DataError(f"no column {column!r}; there are {', '.join(features)}", where=str(root), fix=fix)
    held, words = features[picture], features[caption]
    inner = held.get("bytes") if isinstance(held, Mapping) else held
    if not isinstance(held, Image) and getattr(inner, "dtype", "") not in ("binary", "large_binary"):
        raise DataError(f"the column {picture!r} holds {held}, expected the bytes of pictures", where=str(root))
    if getattr(words, "dtype", "") not in ("string", "large_string"):
        raise DataError(f"the column {caption!r} holds {words}, expected text", where=str(root))
    return rows.cast_column(picture, Image(decode=False)) if isinstance(held, Image) else rows


def without_bytes(column: Any) -> Iterator[bool]:
    """Of each row of an Arrow column of pictures whether it holds no bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for chunk in column.chunks:
        data = pc.struct_field(chunk, "bytes") if pa.types.is_struct(chunk.type) else chunk
        yield from (not size for size in pc.binary_length(data).to_pylist())


def repeating(column: Any) -> Iterable[Any]:
    """The values of an Arrow column if one is there twice, else endless None: millions need not be remembered."""
    import pyarrow.compute as pc

    differ = pc.count_distinct(column).as_py() == len(column) - column.null_count
    return repeat(None) if differ else column.to_pylist()


def until_damage(rows: Any, root: str | Path) -> Iterator[Any]:
    """Rows of `datasets`, whose own errors become ours."""
    reader = iter(rows)
    while True:
        try:
            row = next(reader, None)
        except DataError:
            raise
        except Exception as error:
            raise _unreadable(root, error) from error
        if row is None:
            return
        yield row


def _unreadable(root: str | Path, error: Exception) -> DataError:
    return DataError(f"`datasets` can't read the shards: {error}", where=str(root))
