"""Records a second of streamed shards, against torch's plain DataLoader on picture files.

    python benchmarks/speed/data.py [--quick] [--json] [--write]

Pictures and captions of Scenes, drawn at 256 px, are written as files and as shards: tar, parquet, Arrow, and jsonl
beside the files. The plain side is a data set of twelve lines that opens a file and hands on its levels and caption,
shuffled by torch's DataLoader. The other side is `stream` with its own order, through the loader that trainings use,
with the same hand-over. Decoding is the same on both sides, so that the ratio says what finding and reading a record
costs beside it. Sides take turns, with 0, 1 and 2 data workers, from the first batch asked for to the end of the
workers. Seconds are those that the process and its workers computed: what others do on the machine meanwhile does not
count, and the files lie in the page cache. A figure is that of the quickest turn; `wall_per_s` has records a second of
the clock.
The exit code is 1 where a kind of shards gives less than 0.8 of the plain side's records, for any number of workers.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from telling import flags, machine, told
from torch.utils.data import DataLoader, Dataset

from vlzoo.data.blocks import blocks_of
from vlzoo.data.loader import Order, endless
from vlzoo.data.ranges import read_ahead
from vlzoo.data.readers.scenes import Scenes
from vlzoo.data.readers.stream import Stream
from vlzoo.data.scenes.make import Sizes, make_scenes

KINDS = ("tar", "parquet", "arrow", "jsonl")
SHARDS, GROUP, BATCH, BUFFER, SIDE = 8, 50, 32, 400, 256
"""Shards, rows of a row group or record batch, records of a batch, of the shuffle buffer, and the pictures' side."""
WORKERS = (0, 1, 2)
FULL, QUICK = (800, 4), (160, 1)
"""Pictures, and turns."""
LEAST = 0.8
"""Of the plain side's records a second. Pictures of Scenes decode quickly, so that finding them counts for much."""
Records = Sequence[tuple[bytes, str]]


class Files(Dataset[tuple[torch.Tensor, str]]):
    """The plain side: picture files and their captions."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "all.jsonl").read_text(encoding="utf-8").splitlines()
        self.rows = [(folder / row["file_name"], row["text"]) for row in map(json.loads, lines)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        path, text = self.rows[index]
        with Image.open(path) as picture:
            return torch.from_numpy(np.asarray(picture.convert("RGB")).copy()), text


class Shards:
    """The streamed side, as the loader of trainings asks it for items."""

    def __init__(self, source: Stream) -> None:
        self.source = source
        self.ahead: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.source)

    def read_ahead(self, places: Sequence[tuple[int, int]]) -> None:
        """As trainings do: pictures behind a URL would be read at once here."""
        found = read_ahead([self.source[index] for _, index in places])
        self.ahead = dict(zip([index for _, index in places], found, strict=True))

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, str]:
        sample = self.ahead.pop(place[1])
        return torch.from_numpy(np.asarray(sample.images[0].open()).copy()), sample.texts[0]


def together(items: Sequence[tuple[torch.Tensor, str]], _number: int = 0) -> tuple[torch.Tensor, list[str]]:
    """The batch of some items."""
    return torch.stack([levels for levels, _ in items]), [text for _, text in items]


def write(folder: Path, records: Records) -> None:
    """The records as files, and as shards of each kind."""
    for kind in KINDS:
        (folder / kind).mkdir()
    for shard in range(SHARDS):
        rows = records[shard::SHARDS]
        with tarfile.open(folder / "tar" / f"{shard}.tar", "w") as archive:
            for number, (data, text) in enumerate(rows):
                for ending, content in (("png", data), ("txt", text.encode())):
                    info = tarfile.TarInfo(f"{number:06d}.{ending}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        table = pa.table({"image": [data for data, _ in rows], "caption": [text for _, text in rows]})
        pq.write_table(table, folder / "parquet" / f"{shard}.parquet", row_group_size=GROUP)
        with pa.ipc.new_stream(folder / "arrow" / f"{shard}.arrow", table.schema) as sink:
            sink.write_table(table, max_chunksize=GROUP)
    for number, (data, _) in enumerate(records):
        (folder / "jsonl" / f"{number}.png").write_bytes(data)
    lines = [json.dumps({"file_name": f"{number}.png", "text": text}) for number, (_, text) in enumerate(records)]
    (folder / "jsonl" / "all.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def scenes(folder: Path, pictures: int) -> list[tuple[bytes, str]]:
    """Pictures of Scenes as their files hold them, with a caption each."""
    make_scenes(folder, Sizes.split(pictures, 8, 8), side=SIDE, workers=2)
    source = Scenes(folder, unit="image")
    return [(Path(sample.images[0].name).read_bytes(), sample.texts[0]) for sample in source]


def computed() -> float:
    """Seconds that this process and the workers that ended have computed."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def plain(folder: Path, workers: int, turn: int) -> int:
    """Go through an epoch of the plain side; the records seen."""
    data = Files(folder / "jsonl")
    generator = torch.Generator().manual_seed(turn)
    loader = DataLoader(
        data, BATCH, shuffle=True, num_workers=workers, drop_last=True, generator=generator, collate_fn=together
    )
    return sum(len(texts) for _, texts in loader)


def streamed(source: Stream, workers: int, turn: int) -> int:
    """Go through an epoch of streamed shards, indexed before; the records seen."""
    order = Order(len(source), BATCH, turn, blocks=lambda epoch: blocks_of(source, epoch))
    # An order that ends: workers read ahead, and would go on with the next epoch.
    epoch: Any = list(itertools.islice(order, order.per_epoch))
    batches: Any = endless(Shards(source), together, epoch, workers=workers)  # type: ignore[arg-type]
    return sum(len(texts) for _, texts in batches)


def measured(folder: Path, turns: int) -> dict[str, Any]:
    """Records a second of every side and number of workers; seconds that each kind's index took."""
    sources = {kind: Stream(folder / kind, buffer=BUFFER, worker_lanes=2, process_lanes=1) for kind in KINDS}
    indexed = {}
    for kind, source in sources.items():
        started = computed()
        len(source)
        indexed[kind] = round(computed() - started, 3)
    sides: dict[str, Callable[[int, int], int]] = {"files": partial(plain, folder)}
    sides |= {kind: partial(streamed, source) for kind, source in sources.items()}
    speeds: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for turn, workers, (name, side) in itertools.product(range(turns), WORKERS, sides.items()):
        began, spent = time.perf_counter(), computed()
        seen = side(workers, turn)
        passed = computed() - spent, time.perf_counter() - began
        speeds.setdefault((name, workers), []).append((seen / max(passed[0], 1e-3), seen / passed[1]))

    def best(which: int) -> dict[str, dict[str, float]]:
        return {
            name: {str(w): round(max(each[which] for each in speeds[name, w]), 1) for w in WORKERS} for name in sides
        }

    return {"records_per_s": best(0), "wall_per_s": best(1), "index_s": indexed}


def result(pictures: int, turns: int) -> dict[str, Any]:
    """All figures, and whether the target is met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["VLZOO_CACHE_DIR"] = str(folder / "cache")
        records = scenes(folder / "scenes", pictures)
        write(folder, records)
        found = measured(folder, turns)
    speeds = found["records_per_s"]
    ratios = {
        kind: {workers: round(speeds[kind][workers] / speeds["files"][workers], 3) for workers in speeds["files"]}
        for kind in KINDS
    }
    missed = [f"{kind}, {w} workers" for kind, row in ratios.items() for w, ratio in row.items() if ratio < LEAST]
    least = min(ratio for row in ratios.values() for ratio in row.values())
    return {
        "name": "data",
        "least": least,
        "longest_time_ratio": round(1 / least, 3),
        "ratios": ratios,
        **found,
        "records": len(records),
        "mean_bytes": round(sum(len(data) for data, _ in records) / len(records)),
        "turns": turns,
        "missed": missed,
        "machine": machine() | {"pyarrow": pa.__version__},
        "note": "a machine shared with other work: `wall_per_s` says little of it",
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The figures as a terminal shows them."""
    rows = [f"{found['records']:,} records of {found['mean_bytes']:,} bytes; records/s computed with {WORKERS} workers"]
    for name, speeds in found["records_per_s"].items():
        against = "" if name == "files" else "   of plain: " + ", ".join(map(str, found["ratios"][name].values()))
        rows.append(f"{name:>8}: " + " ".join(f"{speed:9,.1f}" for speed in speeds.values()) + against)
    return [*rows, *(f"missed: {each}" for each in found["missed"])]


def main() -> int:
    """Print the figures; the exit code says whether the target is met."""
    given = flags(__doc__, "fewer pictures, one turn").parse_args()
    torch.set_num_threads(1)
    found = result(*(QUICK if given.quick else FULL))
    return told(found, lines(found), given)


if __name__ == "__main__":
    sys.exit(main())
