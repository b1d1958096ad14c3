"""img2dataset's output: tar shards of `KEY.jpg`, `KEY.txt`, `KEY.json`, and parquet shards with the picture's bytes.

Tar shards are indexed once: names, captions and offsets go into a memory-mapped table, and a picture is read by one
seek. Parquet shards are opened through `datasets`, which maps them as Arrow. What lies behind a URL, or on a disk that
seeks slowly, is read by `stream` (`vlzoo.data.readers.stream`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.images import BytesImage, TarImage
from vlzoo.data.parquet import load_rows, repeating, undecoded, without_bytes
from vlzoo.data.readers.base import CaptionSource
from vlzoo.data.records import ImageRef, Sample
from vlzoo.data.sources import Source
from vlzoo.data.tar import checked_caption, read_pairs
from vlzoo.errors import DataError

LAYOUT = (
    "00000.tar, 00001.tar, ...           KEY.jpg with KEY.txt or KEY.json (`caption`); or",
    "00000.parquet, 00001.parquet, ...   columns jpg (bytes), caption, key, status",
    "00000.parquet beside 00000.tar is img2dataset's list of that shard, and is passed over",
)


class TarShards(CaptionSource):
    """Pictures and captions in img2dataset's tar shards.

    Args:
        root: the folder with the shards, or with a folder of shards for each split.
    """

    on_disk: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, str] | None] = {
        "name": "str",
        "image_id": "str",
        "image": "str",
        "texts": "strs",
        "archive": "str",
        "offset": "int",
        "size": "int",
    }
    card = Card(
        "img2dataset",
        "tar shards as img2dataset writes them",
        "that of the data they hold",
        "https://github.com/rom1504/img2dataset",
        layout=LAYOUT[:1] + LAYOUT[2:],
        get="img2dataset --url_list LIST --output_format webdataset --output_folder DIR",
        note="a folder below the root that is named like the split holds its shards; else the root holds them",
    )

    def files(self) -> Sequence[Expected]:
        """The shards; they count by name and size in the fingerprint."""
        found = shard_files(self.root, self.split, ".tar")
        return [Expected(path, "a shard", hashed=False) for path in found or ["00000.tar"]]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of all shards, in the order of their names.

        Raises:
            DataError: a shard is damaged.
        """
        for path in shard_files(self.root, self.split, ".tar"):
            for pair in read_pairs(Path(self.root, path), faults):
                name = f"{Path(path).stem}/{pair.key}"
                row = {"archive": path, "image": f"{pair.key}.{pair.ending}", **pair.place._asdict()}
                yield {"name": name, "image_id": name, "texts": [pair.text], **row}

    def picture(self, row: Mapping[str, Any]) -> ImageRef:
        """The picture of a row, by its place in the shard."""
        return TarImage(str(Path(self.root, row["archive"])), row["image"], row["offset"], row["size"])


def shard_files(root: str | Path, split: str, ending: str) -> list[str]:
    """The shards below the root, or below its folder named like the split: paths below the root, in order."""
    base = Path(root, split) if Path(root, split).is_dir() else Path(root)
    if not base.is_dir():
        return []
    return sorted(path.relative_to(root).as_posix() for path in base.glob(f"*{ending}"))


class ParquetShards(Source):
    """Pictures and captions in img2dataset's parquet shards, through `datasets`.

    Args:
        root: the folder with the shards, or with a folder of shards for each split.
        picture_column: the column of encoded pictures.
        caption_column: the column of captions.
    """

    card = Card(
        "img2dataset-parquet",
        "parquet shards as img2dataset writes them",
        "that of the data they hold",
        "https://github.com/rom1504/img2dataset",
        layout=LAYOUT[1:2],
        get="img2dataset --url_list LIST --output_format parquet --output_folder DIR",
        note="a folder below the root that is named like the split holds its shards; else the root holds them",
    )

    def __init__(
        self, root: str | Path, *, picture_column: str = "jpg", caption_column: str = "caption", **options: Any
    ) -> None:
        super().__init__(root, **options)
        self.picture_column, self.caption_column = picture_column, caption_column
        self._table: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_table": None}

    def files(self) -> Sequence[Expected]:
        """The shards; they count by name and size in the fingerprint."""
        found = shard_files(self.root, self.split, ".parquet")
        return [Expected(path, "a shard", hashed=False) for path in found or ["00000.parquet"]]

    @property
    def table(self) -> Any:
        """The shards as one memory-mapped `datasets.Dataset`; pictures as their bytes.

        Raises:
            DataError: `datasets` can't read them, or a column is missing or of another type.
        """
        if self._table is None:
            found = load_rows(_shards(self.root, self.split, ".parquet"), streaming=False)
            self._table = undecoded(found, self.picture_column, self.caption_column, self.root)
        return self._table

    def records(self, faults: Faults) -> Iterator[int]:
        """The numbers of the rows that hold a picture and a caption.

        Raises:
            DataError: a column is missing or of another type.
        """
        names = self.table.column_names
        texts = self.table.select_columns([c for c in (self.caption_column, "status") if c in names])
        lacking = without_bytes(self.table.data.column(self.picture_column))
        keys = repeating(self.table.data.column("key")) if "key" in names else repeat(None)
        seen: set[Any] = set()
        for number, (row, lacks, key) in enumerate(zip(texts, lacking, keys, strict=False)):
            where = f"{self.root} row {number}"
            if row.get("status") not in (None, "success"):
                faults.count("not downloaded")
            elif lacks:
                faults.skip("text without a picture", where)
            elif key is not None and key in seen:
                faults.skip("key twice", where, key)
            elif checked_caption(row[self.caption_column], where, faults) is not None:
                seen.update(() if key is None else (key,))
                faults.count("images")
                faults.count("captions")
                yield number

    def sample(self, row: int) -> Sample:
        """The picture and caption of one row of the table."""
        found = self.table[row]
        name = str(found.get("key") or row)
        data = found[self.picture_column]
        data = data["bytes"] if isinstance(data, Mapping) else data
        text = clean_text(found[self.caption_column], name, Faults(self.name))
        return Sample(name, (BytesImage(f"{self.root}!/{name}", data),), (text or "",), name)


def _shards(root: str | Path, split: str, ending: str) -> list[str]:
    found = [str(Path(root, path)) for path in shard_files(root, split, ending)]
    if not found:
        raise DataError(f"there are no {ending} shards", where=str(root), fix="is the root right?")
    return found
