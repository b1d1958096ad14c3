"""The files of a gallery: what it was made of, and shards of pictures with what was found in them. No torch here.

    GALLERY/gallery.json        the data, the detector, how many pictures, how many to a shard
    GALLERY/shards/00000/       Arrow, as `datasets.load_from_disk` reads it: a row a picture
    GALLERY/shards/00000/shard.json

A shard is written beside its place and renamed when it is whole, so a killed process leaves none that is half.

Legend: R regions of a picture, F width of a feature.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vlzoo.data.features import Features
from vlzoo.errors import DataError
from vlzoo.files import new_folder, write_text

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
HEADER, NOTE = "gallery.json", "shard.json"


@dataclass(frozen=True)
class Found:
    """A picture with what was detected in it: a row of a shard.

    Attributes:
        source: the data that it is of, without the split: `coco`.
        image_id: its id there.
        picture: where it lies, for messages and thumbnails.
        regions: with labels, scores and the picture's size.
    """

    source: str
    image_id: str
    picture: str
    regions: Features


@dataclass(frozen=True)
class Header:
    """What a gallery was made of.

    Attributes:
        data: the data's name with its options and fingerprint.
        detector: the detector's name with its options.
        pictures: how many pictures there are in all.
        shard: how many of them a shard holds.
        format: of the files.
    """

    data: Mapping[str, Any]
    detector: Mapping[str, Any]
    pictures: int
    shard: int
    format: int = field(default=FORMAT)

    @property
    def shards(self) -> int:
        """How many shards there are in all."""
        return -(-self.pictures // self.shard)

    def write(self, folder: Path) -> None:
        """Keep it in a gallery."""
        write_text(folder / HEADER, json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")


def read_header(folder: Path) -> Header:
    """What a gallery was made of.

    Raises:
        DataError: no gallery is there, or one of another version of vlzoo.
    """
    file = folder / HEADER
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        if held.get("format") != FORMAT:
            what = f"a gallery of format {held.get('format')!r}, and this version reads {FORMAT}"
            raise DataError(what, where=str(folder), fix="make it anew: `vlzoo detect`")
        return Header(**held)
    except OSError as error:
        fix = "`vlzoo detect --images DATA --detector D --out GALLERY` makes one"
        raise DataError(f"no gallery is there: {error.strerror}", where=str(file), fix=fix) from None
    except (ValueError, TypeError, AttributeError) as error:
        fix = "delete the folder and make it anew: `vlzoo detect`"
        raise DataError(f"the gallery's {HEADER} is damaged: {error}", where=str(file), fix=fix) from None


def shard_folder(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / "shards" / f"{number:05d}"


def write_shard(folder: Path, number: int, rows: Sequence[Found], width: int) -> None:
    """Write a shard, whole or not at all.

    Args:
        folder: the gallery.
        number: the shard's, from 0.
        rows: its pictures.
        width: F.
    """
    import datasets
    from datasets.table import InMemoryTable

    place = shard_folder(folder, number)
    place.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(place, replace=True, flush=True) as fresh:
        shown = datasets.utils.logging.is_progress_bar_enabled()
        datasets.disable_progress_bars()
        try:
            datasets.Dataset(InMemoryTable(_table(rows, width))).save_to_disk(str(fresh))
        finally:
            if shown:
                datasets.enable_progress_bars()
        sizes = {file.name: file.stat().st_size for file in sorted(fresh.glob("*.arrow"))}
        write_text(fresh / NOTE, json.dumps({"pictures": len(rows), "width": width, "bytes": sizes}))


def _table(rows: Sequence[Found], width: int) -> pa.Table:
    import pyarrow as pa

    offsets = np.cumsum([0, *(len(row.regions.features) for row in rows)]).astype(np.int32)
    sizes = [row.regions.size or (0, 0) for row in rows]
    scores = [_scores(row.regions) for row in rows]

    def vectors(held: Sequence[np.ndarray], of: int) -> pa.Array:
        flat = np.concatenate([np.asarray(each, np.float32).reshape(-1, of) for each in held]).ravel()
        return pa.ListArray.from_arrays(offsets, pa.FixedSizeListArray.from_arrays(pa.array(flat), of))

    labels = pa.array([label for row in rows for label in row.regions.labels], pa.string())
    return pa.table(
        {
            "source": pa.array([row.source for row in rows], pa.string()),
            "image_id": pa.array([row.image_id for row in rows], pa.string()),
            "picture": pa.array([row.picture for row in rows], pa.string()),
            "width": pa.array([size[0] for size in sizes], pa.int32()),
            "height": pa.array([size[1] for size in sizes], pa.int32()),
            "labels": pa.ListArray.from_arrays(offsets, labels),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(scores), pa.float32())),
            "boxes": vectors([row.regions.boxes for row in rows], 4),
            "features": vectors([row.regions.features for row in rows], width),
        }
    )


def _scores(regions: Features) -> np.ndarray:
    return np.ones(len(regions.features), np.float32) if regions.scores is None else regions.scores


def fault_of(folder: Path, number: int) -> str:
    """What is wrong with a shard; empty where it is whole."""
    place = shard_folder(folder, number)
    if not place.is_dir():
        return "missing"
    try:
        note = json.loads((place / NOTE).read_text(encoding="utf-8"))
        there = {file.name: file.stat().st_size for file in sorted(place.glob("*.arrow"))}
        return "" if there == note["bytes"] else f"cut off: {there} bytes, written were {note['bytes']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"damaged: {type(error).__name__}: {error}"


def left_behind(folder: Path) -> list[Path]:
    """What killed processes left of shards that they were writing."""
    return sorted((folder / "shards").glob(".*.tmp"))


def remove(places: Sequence[Path]) -> None:
    """Remove half-written shards."""
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


def read_shard(folder: Path, number: int) -> pa.Table:
    """A shard, memory-mapped.

    Raises:
        DataError: its files are damaged.
    """
    import pyarrow as pa

    place = shard_folder(folder, number)
    try:
        parts = [pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in sorted(place.glob("*.arrow"))]
        return pa.concat_tables(parts)
    except (pa.ArrowInvalid, OSError) as error:
        fix = "delete the shard, and run the same `vlzoo detect` again: it goes on"
        raise DataError(f"the shard is damaged: {error}", where=str(place), fix=fix) from error


def widths(folder: Path, numbers: Iterable[int]) -> Iterator[int]:
    """The width of the features of some shards, as they say themselves."""
    for number in numbers:
        yield int(json.loads((shard_folder(folder, number) / NOTE).read_text(encoding="utf-8"))["width"])
