"""Pictures and captions in shards, here or behind a URL, read as they are needed: WebDataset, parquet, Arrow, jsonl.

The shards are gone through once for an index: names, captions and places, as a memory-mapped table. From then on the
source answers like any other, record by record, and says in which blocks its records lie; the order of an epoch goes
through these (`vlzoo.data.blocks`). A tar member is read by its range of bytes, those of a batch at once; of parquet
and Arrow a row group or record batch is read as a whole and kept while its rows are due.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.blocks import Blocks, checked
from vlzoo.data.cards import Card
from vlzoo.data.columns import RowImage
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.images import FileImage, TarImage
from vlzoo.data.indexing import ENDINGS, Columns, index_rows
from vlzoo.data.paths import leaves, url_inside
from vlzoo.data.places import is_url, place, without_file
from vlzoo.data.ranges import RangeImage
from vlzoo.data.records import ImageRef, Sample
from vlzoo.data.sources import SizeWarning, Source
from vlzoo.data.tar import UNENDED
from vlzoo.errors import DataError, UnknownName, did_you_mean
from vlzoo.progress import Progress


class Stream(Source):
    """Pictures and captions in shards, here or behind a URL, read as they are needed.

    Args:
        root: the folder with the shards, or with a folder of shards for each split; a URL is read through fsspec:
            s3://bucket/shards, hf://datasets/NAME.
        kind: webdataset (.tar), parquet, arrow or jsonl; `auto`: what there is.
        files: the shards as a pattern below the root, as in `data/train-*.parquet`; empty: all of that kind.
        picture_column: the column of pictures, or in jsonl of their files; empty: image, jpg, file_name and the like.
        caption_column: the column of captions; empty: caption, text and the like.
        buffer: how many records are shuffled with each other; an epoch goes through blocks of shards in random order.
        worker_lanes: a number that `train.workers` divides: then no two workers read the same block.
        process_lanes: a number that the number of processes divides: likewise.

    Raises:
        UnknownName: there is no such kind.
        DataError: a number is below 1; at first use: a shard is damaged, a column is missing or of another type.
    """

    on_disk: ClassVar[bool] = True
    aside: ClassVar[tuple[str, ...]] = (*Source.aside, "buffer", "worker_lanes", "process_lanes")
    columns: ClassVar[Mapping[str, str] | None] = {
        **dict.fromkeys(("name", "image", "archive"), "str"),
        "texts": "strs",
        **dict.fromkeys(("offset", "size", "group", "row", "block"), "int"),
    }
    card = Card(
        "stream",
        "shards of pictures and captions, here or behind a URL",
        "that of the data they hold",
        "https://huggingface.co/docs/datasets/stream",
        layout=(
            "*.tar        WebDataset: KEY.jpg with KEY.txt or KEY.json (`caption`); or",
            "*.parquet    a column of pictures (bytes, or a struct with `bytes`) and one of captions; or",
            "*.arrow      the same, as `datasets` saves it; or",
            "*.jsonl      lines with the picture's file, below the jsonl's folder, and the caption",
        ),
        get="img2dataset, or `datasets`: Dataset.to_parquet, Dataset.save_to_disk",
        note="a folder below the root that is named like the split holds its shards; the root itself holds train",
    )

    def __init__(
        self,
        root: str | Path,
        *,
        kind: str = "auto",
        files: str = "",
        picture_column: str = "",
        caption_column: str = "",
        buffer: int = 10_000,
        worker_lanes: int = 4,
        process_lanes: int = 8,
        **options: Any,
    ) -> None:
        super().__init__(without_file(str(root)), **options)
        if kind not in ("auto", *ENDINGS):
            raise UnknownName(f"no kind of shards called {kind!r}", fix=did_you_mean(kind, ("auto", *ENDINGS)))
        if files and leaves(files):
            raise DataError(f"the pattern {files!r} leaves the root", where="files", fix="as in data/train-*.parquet")
        checked(buffer, worker_lanes, process_lanes, self.name)
        self.kind, self.pattern = kind, files
        self.picture_column, self.caption_column = picture_column, caption_column
        self.buffer, self.worker_lanes, self.process_lanes = buffer, worker_lanes, process_lanes
        self._shards: list[str] | None = None
        self._due: Sequence[int] = ()

    @property
    def root_folder(self) -> Any:
        """The root as a place to look in: a path, or what answers to the same names behind a URL."""
        return place(self.root)

    def files(self) -> Sequence[Expected]:
        """The shards; they count by name and size in the fingerprint.

        Raises:
            DataError: the root can't be listed, or holds several kinds of shards.
        """
        if self._shards is None:
            try:
                self._shards = self._found()
            except DataError:
                raise
            except Exception as error:  # of any file system
                what = f"the folder can't be listed: {str(error) or type(error).__name__}"
                raise DataError(what, where=self.root, fix="is the root right, and may you read it?") from error
        wanted = self.pattern or "*" + ENDINGS.get(self.kind, ".tar")
        about = "shards: " + ", ".join(ENDINGS.values() if self.kind == "auto" else [ENDINGS[self.kind]])
        below = "" if self.pattern or self.split == "train" else f"{self.split}/"
        shards = [Expected(path, "a shard", hashed=False) for path in self._shards]
        return shards or [Expected(below + wanted, about)]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of all shards, in the order of their names.

        Raises:
            DataError: a shard is damaged, a column is missing or of another type.
        """
        shards = [expected.path for expected in self.files()]
        columns, block, last = Columns(self.picture_column, self.caption_column), -1, ("", -1)
        with closing(Progress("indexing", len(shards), unit="shards", brief=True)) as progress:
            for done, shard in enumerate(shards, start=1):
                name = str(PurePosixPath(shard).with_suffix(""))
                for row in index_rows(self.root_folder / shard, name, columns, faults):
                    block, last = block + ((shard, row["group"]) != last), (shard, row["group"])
                    yield {**row, "archive": shard, "block": block}
                progress.update(done)

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with its captions."""
        return Sample(row["name"], (self.picture(row),), tuple(row["texts"]), row["name"])

    def picture(self, row: Mapping[str, Any]) -> ImageRef:
        """The picture of a row, by its place."""
        file, path = str(self.root_folder / row["archive"]), row["image"]
        if row["archive"].endswith(".tar"):
            if is_url(file):
                return RangeImage(file, path, row["offset"], row["size"])
            return TarImage(file, path, row["offset"], row["size"])
        if row["archive"].endswith(".jsonl"):
            beside = PurePosixPath(row["archive"]).parent / path
            return RangeImage(url_inside(self.root, str(beside))) if is_url(file) else FileImage(self.root, str(beside))
        key, due = str(row["name"]).rpartition("/")[2], int(self._due[row["block"]]) if len(self._due) else 0
        return RowImage(file, row["group"], row["offset"], due, row["row"], path, key)

    def blocks(self, epoch: int = 0) -> Blocks:
        """The blocks in which its records lie: row groups, record batches, runs of members and lines."""
        block = self._blocks()
        ends = np.append(np.flatnonzero(np.diff(block)) + 1, len(block))
        return Blocks(ends, self.buffer, self.worker_lanes, self.process_lanes)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_shards": None, "_due": ()}

    def _load(self) -> None:
        super()._load()
        self._due = np.bincount(self._blocks()).tolist()
        for fault in self.faults.listed:
            if fault.kind == UNENDED:  # how much is lost, nobody knows
                warnings.warn(str(fault), SizeWarning, stacklevel=2)

    def _blocks(self) -> NDArray[np.int64]:
        """The block of every record."""
        return np.asarray(self.rows.table.column("block"))  # type: ignore[attr-defined]

    def _found(self) -> list[str]:
        """The shards below the root, in order."""
        if self.pattern:
            endings: tuple[str, ...] = tuple(ENDINGS.values()) if self.kind == "auto" else (ENDINGS[self.kind],)
            return [path for path in _names(self.root_folder, self.pattern) if path.endswith(endings)]
        base = self.root_folder / self.split
        there = base.is_dir()
        if not there and self.split != "train":
            return []
        below = f"{self.split}/" if there else ""
        by_kind = {kind: _names(self.root_folder, f"{below}*{ending}") for kind, ending in ENDINGS.items()}
        if self.kind != "auto":
            return by_kind[self.kind]
        held = {kind: names for kind, names in by_kind.items() if names}
        if "webdataset" in held:
            held.pop("parquet", None)  # img2dataset's list of a shard, beside it
        if len(held) > 1:
            many = ", ".join(f"{len(names):,} of {kind}" for kind, names in held.items())
            raise DataError(f"shards of several kinds: {many}", where=self.root, fix=f"say `kind: {next(iter(held))}`")
        return list(itertools.chain.from_iterable(held.values()))


def _names(folder: Any, pattern: str) -> list[str]:
    """The files below a folder that a pattern names: paths below it, in order."""
    if isinstance(folder, Path):
        return sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.is_file())
    found = folder.fs.glob(f"{folder.path.rstrip('/')}/{pattern}", detail=True)  # one listing, no look at each file
    base = folder.path.strip("/") + "/"
    return sorted(name.strip("/").removeprefix(base) for name, about in found.items() if about["type"] == "file")
