"""img2dataset's output: tar shards of `KEY.jpg`, `KEY.txt`, `KEY.json`, and parquet shards with the picture's bytes.

Tar shards are indexed once: names, captions and offsets go into a memory-mapped table, and a picture is read by one
seek. Parquet shards are opened through `datasets`, which maps them as Arrow. `stream` reads either kind in order with a
shuffle buffer through `datasets`, for disks that seek slowly.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.faults import Faults
from vlzoo.data.images import BytesImage, TarImage
from vlzoo.data.readers.base import CaptionSource
from vlzoo.data.records import ImageRef, Sample
from vlzoo.data.sources import Expected, Source
from vlzoo.errors import DataError

PICTURES = ("jpg", "jpeg", "png", "webp")
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
            for key, members in _groups(Path(self.root, path)):
                yield from self._rows_of(path, key, members, faults)

    def _rows_of(self, path: str, key: str, members: Mapping[str, Any], faults: Faults) -> Iterator[dict[str, Any]]:
        where = f"{Path(self.root, path)}!/{key}"
        ending = next((ending for ending in PICTURES if ending in members), None)
        if ending is None:
            faults.skip("text without a picture", where)
            return
        value = _caption(members, where)
        text = None if value is None else clean_text(value, where, faults)
        if value is None:
            faults.skip("picture without a caption", where)
        if text is not None:
            offset, size = members[ending]
            row = {"archive": path, "image": f"{key}.{ending}", "offset": offset, "size": size}
            name = f"{Path(path).stem}/{key}"
            faults.count("images")
            faults.count("captions")
            yield {"name": name, "image_id": name, "texts": [text], **row}

    def picture(self, row: Mapping[str, Any]) -> ImageRef:
        """The picture of a row, by its place in the shard."""
        return TarImage(str(Path(self.root, row["archive"])), row["image"], row["offset"], row["size"])


def shard_files(root: str | Path, split: str, ending: str) -> list[str]:
    """The shards below the root, or below its folder named like the split: paths below the root, in order."""
    base = Path(root, split) if Path(root, split).is_dir() else Path(root)
    if not base.is_dir():
        return []
    return sorted(path.relative_to(root).as_posix() for path in base.glob(f"*{ending}"))


def _groups(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Keys of a tar shard with their members: place and size of pictures, bytes of texts. Members of a key adjoin."""
    key = ""
    members: dict[str, Any] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                if not info.isfile():
                    continue
                stem, _, ending = info.name.removeprefix("./").partition(".")
                if stem != key:
                    if members:
                        yield key, members
                    key, members = stem, {}
                members[ending.lower()] = _member(archive, info, ending.lower())
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"the shard is damaged: {error}", where=str(path), fix="download it again") from error
    if members:
        yield key, members


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo, ending: str) -> Any:
    if ending in PICTURES:
        return info.offset_data, info.size
    read = archive.extractfile(info) if ending in ("txt", "json") else None
    return read.read(2**20).decode("utf-8", "replace") if read else None


def _caption(members: Mapping[str, Any], where: str) -> Any:
    if members.get("txt") is not None:
        return members["txt"]
    try:
        return json.loads(members["json"]).get("caption") if members.get("json") else None
    except (ValueError, AttributeError) as error:
        raise DataError("the member .json is not a json object", where=where) from error


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
        """The shards as one memory-mapped `datasets.Dataset`."""
        if self._table is None:
            self._table = _load(self.root, self.split, "parquet", streaming=False)
        return self._table

    def records(self, faults: Faults) -> Iterator[int]:
        """The numbers of the rows that hold a picture and a caption.

        Raises:
            DataError: a column is missing.
        """
        names = self.table.column_names
        for column in (self.picture_column, self.caption_column):
            if column not in names:
                raise DataError(f"no column {column!r}; there are {', '.join(names)}", where=self.root)
        texts = self.table.select_columns([c for c in (self.caption_column, "status") if c in names])
        for number, row in enumerate(texts):
            if row.get("status") not in (None, "success"):
                faults.count("not downloaded")
            elif clean_text(row[self.caption_column] or "", f"{self.root} row {number}", faults) is not None:
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
        return Sample(name, (BytesImage(f"{self.root}!/{name}", data or b""),), (text or "",), name)


def stream(
    root: str | Path, *, split: str = "train", kind: str = "webdataset", buffer: int = 1000, seed: int = 0
) -> Iterator[Sample]:
    """Samples of shards in the order of reading, shuffled through a buffer, by `datasets` streaming.

    Args:
        root: the folder with the shards.
        split: the folder below it, where there is one.
        kind: `webdataset` for tar shards, `parquet` for parquet shards.
        buffer: how many samples the shuffle holds; 1 keeps the order.
        seed: of the shuffle.

    Raises:
        DataError: there are no shards, or one is damaged.
    """
    from datasets import Image, Value

    rows = _load(root, split, kind, streaming=True)
    faults = Faults(str(root))
    features = rows.features or {}
    picture = next((name for name in (*PICTURES, "image") if name in features), "jpg")
    rows = rows.cast_column(picture, Image(decode=False) if kind == "webdataset" else Value("binary"))
    for row in rows.shuffle(seed=seed, buffer_size=buffer) if buffer > 1 else rows:
        data = row[picture]["bytes"] if isinstance(row[picture], Mapping) else row[picture]
        name = str(row.get("__key__") or row.get("key"))
        value = row.get("txt", row.get("caption", (row.get("json") or {}).get("caption")))
        text = clean_text(value, name, faults) if isinstance(value, str) else None
        if data and text:
            yield Sample(name, (BytesImage(f"{root}!/{name}", data),), (text,), name)


def _load(root: str | Path, split: str, kind: str, *, streaming: bool) -> Any:
    import datasets

    ending = ".tar" if kind == "webdataset" else ".parquet"
    files = [str(Path(root, path)) for path in shard_files(root, split, ending)]
    if not files:
        raise DataError(f"there are no {ending} shards", where=str(root), fix="is the root right?")
    try:
        with_bar = datasets.is_progress_bar_enabled()
        datasets.disable_progress_bars()
        found = datasets.load_dataset(kind, data_files=files, split="train", streaming=streaming)
    except Exception as error:
        raise DataError(f"`datasets` can't read the shards: {error}", where=str(root)) from error
    finally:
        if with_bar:
            datasets.enable_progress_bars()
    return found
