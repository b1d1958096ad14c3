"""All regions of a gallery's pictures, in the order of its shards; their features stay on disk. No torch here.

Legend: N regions of all pictures, P pictures, n rows, F width of a feature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.derived import picture_key
from vlzoo.data.features import Features
from vlzoo.errors import DataError
from vlzoo.hashing import number_of
from vlzoo_vlmixer.shards import HEADER, fault_of, left_behind, read_header, read_shard, widths

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.integer[Any]]
Index = tuple[NDArray[np.int64], Ints]
NAMED = 3
"""How many shards or pictures a message names."""


@dataclass
class Regions:
    """What was detected in all pictures.

    Attributes:
        folder: the gallery.
        table: a row a picture, memory-mapped.
        width: F.
        starts: the first region of each picture, and after the last one how many there are, [P + 1].
        scores: [N] float32.
        label_numbers: the place of each region's label in `labels`, [N].
        labels: every label that occurs, once.
    """

    folder: Path
    table: pa.Table
    width: int
    starts: NDArray[np.int64]
    scores: NDArray[np.float32]
    label_numbers: NDArray[np.int32]
    labels: list[str]
    _blocks: dict[str, tuple[NDArray[np.int64], list[NDArray[np.float32]]]] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return open_regions, (self.folder,)  # data workers map the same files again

    def __post_init__(self) -> None:
        self._blocks = {
            "features": _mapped(self.table, "features", self.width),
            "boxes": _mapped(self.table, "boxes", 4),
        }

    @cached_property
    def picture_numbers(self) -> NDArray[np.int32]:
        """The picture of each region, [N]."""
        return np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))

    def features(self, rows: Ints) -> NDArray[np.float32]:
        """Features of some regions, [n, F]: only their pages of the files are read."""
        return self._gather("features", self.width, rows)

    def boxes(self, rows: Ints) -> NDArray[np.float32]:
        """Left, top, right, bottom as shares of the picture's width and height, [n, 4]."""
        return self._gather("boxes", 4, rows)

    def of_pictures(self, column: str, rows: Ints) -> list[str]:
        """`image_id`, `picture` or `source` of the pictures that some regions are in; length n."""
        return [str(self.table.column(column)[int(picture)].as_py()) for picture in self.picture_numbers[rows]]

    def of_picture(self, source: str, image_id: str, picture: str) -> Features:
        """All regions of a picture.

        Args:
            source: the data that it is of, without the split.
            image_id: its id there.
            picture: its file: pictures of other data are the same where their files have the same name.

        Raises:
            DataError: nobody looked at it, or several pictures answer to its file's name.
        """
        number = self.number(source, image_id, picture)
        rows = np.arange(self.starts[number], self.starts[number + 1])
        return self.features_of(rows, number)

    def number(self, source: str, image_id: str, picture: str) -> int:
        """The number of a picture; arguments and errors as of `of_picture`."""
        own = _found(self._ids, f"{source}\0{image_id}")
        if len(own):
            return int(own[-1])
        named = _found(self._files, picture_key(picture))
        if len(named) != 1:
            raise self._unknown(source, image_id, picture, named.tolist())
        return int(named[0])

    def features_of(self, rows: Ints, picture: int) -> Features:
        """Some regions of a picture with their labels and scores."""
        labels = tuple(self.labels[number] for number in self.label_numbers[rows])
        across, down = (int(self.table.column(name)[picture].as_py()) for name in ("width", "height"))
        size = (across, down) if across and down else None
        return Features(self.features(rows), self.boxes(rows), labels, self.scores[rows], size)

    def _gather(self, column: str, width: int, rows: Ints) -> NDArray[np.float32]:
        ends, blocks = self._blocks[column]
        block = ends.searchsorted(rows, side="right")
        gathered = np.empty((len(rows), width), np.float32)
        for place, (number, row) in enumerate(zip(block.tolist(), np.asarray(rows).tolist(), strict=True)):
            held = blocks[number]
            gathered[place] = held[row - (int(ends[number]) - len(held))]
        return gathered

    @cached_property
    def _ids(self) -> Index:
        """Pictures by source and id."""
        return _index(map("\0".join, zip(self._said("source"), self._said("image_id"), strict=True)))

    @cached_property
    def _files(self) -> Index:
        """Pictures by the names of their files."""
        return _index(map(picture_key, self._said("picture")))

    def _said(self, column: str) -> Iterator[str]:
        return (value for chunk in self.table.column(column).chunks for value in chunk.to_pylist())

    def _unknown(self, source: str, image_id: str, picture: str, named: Sequence[int]) -> DataError:
        if named:
            ids = ", ".join(str(self.table.column("picture")[number].as_py()) for number in named[:NAMED])
            what = f"several pictures of the gallery are called like {picture}: {ids}"
            return DataError(what, where=f"{source} {image_id}", fix="detect in the data that you join it to")
        of = sorted({*self._said("source")})
        what = f"nothing was detected in picture {image_id} of {source} ({picture}); the gallery is of {', '.join(of)}"
        return DataError(what, where=str(self.folder), fix="run `vlzoo detect` over this data and split")


def open_regions(folder: Path) -> Regions:
    """The regions of a gallery that is whole; opened once in a process as long as it is not made anew.

    Raises:
        DataError: there is none, or it was cut off in the middle of writing: names the shards that are missing.
    """
    read_header(folder)
    shards = folder / "shards"
    return _opened(folder, (folder / HEADER).stat().st_mtime_ns, shards.stat().st_mtime_ns if shards.is_dir() else 0)


@lru_cache(maxsize=8)
def _opened(folder: Path, _made: int, _changed: int) -> Regions:
    import pyarrow as pa

    header = read_header(folder)
    faults = {number: fault for number in range(header.shards) if (fault := fault_of(folder, number))}
    if faults:
        raise _cut_off(folder, header.shards, faults)
    numbers = range(header.shards)
    found = set(widths(folder, numbers))
    if len(found) > 1:
        raise DataError(f"shards with features of different widths: {sorted(found)}", where=str(folder))
    if not found:
        what = f"an empty gallery: it is of {header.pictures} pictures"
        raise DataError(what, where=str(folder), fix="detect in data that have pictures")
    table = pa.concat_tables([read_shard(folder, number) for number in numbers])
    counts = np.concatenate([chunk.value_lengths().to_numpy() for chunk in table.column("labels").chunks])
    label_numbers, labels = _labels(table.column("labels"))
    scores = np.concatenate([chunk.flatten().to_numpy() for chunk in table.column("scores").chunks])
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Regions(folder, table, found.pop(), starts, scores, label_numbers, labels)


def _cut_off(folder: Path, count: int, faults: dict[int, str]) -> DataError:
    shown = "; ".join(f"shard {number:05d}: {fault}" for number, fault in list(faults.items())[:NAMED])
    half = (
        f"; left half-written: {', '.join(place.name for place in left_behind(folder))}" if left_behind(folder) else ""
    )
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    what = f"the gallery was cut off in the middle of writing: {len(faults)} of {count} shards are to be made"
    what += f" ({shown}{more}{half})"
    return DataError(what, where=str(folder), fix="run the same `vlzoo detect` again: it goes on where it stopped")


def _labels(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """For each region the place of its label among those that occur, and these."""
    import pyarrow as pa

    flat = pa.chunked_array([chunk.flatten() for chunk in column.chunks], pa.string())
    encoded = flat.dictionary_encode().unify_dictionaries()
    numbers = [np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in encoded.chunks)]
    return np.concatenate(numbers), encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []


def _index(names: Iterable[str]) -> Index:
    """Names as numbers in order, and the picture of each: of millions a dictionary would fill every data worker."""
    keys = np.fromiter(map(number_of, names), np.int64)
    order = np.argsort(keys, kind="stable")
    return keys[order], order


def _found(index: Index, name: str) -> Ints:
    """The pictures of a name."""
    keys, order = index
    key = number_of(name)
    return order[keys.searchsorted(key) : keys.searchsorted(key, side="right")]


def _mapped(table: pa.Table, column: str, width: int) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]]:
    """A column of vectors as arrays over the mapped files, and the region after the last one of each."""
    flat = [chunk.flatten().flatten().to_numpy(zero_copy_only=True) for chunk in table.column(column).chunks]
    blocks = [each.reshape(-1, width) for each in flat]
    return np.cumsum([len(block) for block in blocks]).astype(np.int64), blocks
