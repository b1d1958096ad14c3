"""Detection over a data source into a gallery: shard by shard, by several processes, going on where it stopped.

Processes share the work by files alone: process i of n makes the shards whose number leaves i when divided by n.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.data.features import Features
from vlzoo.data.records import Shown
from vlzoo.data_parts import Detector
from vlzoo.door.parts import Part
from vlzoo.errors import DataError, PluginError, VlzooError
from vlzoo.files import sha256_of, writing
from vlzoo.processes import is_alive
from vlzoo.progress import Progress
from vlzoo_vlmixer.pictures import Pictures
from vlzoo_vlmixer.shards import (
    HEADER,
    Found,
    Header,
    fault_of,
    left_behind,
    read_header,
    remove,
    shard_folder,
    widths,
    write_shard,
)

Say = Callable[[str], None]
HASHED = 2**30
"""Files up to so many bytes are known by what they hold, larger ones by their size."""
WAIT_S = 0.2


@dataclass(frozen=True)
class Work:
    """Where detections go, and whose share of them is made.

    Attributes:
        folder: the gallery.
        batch: pictures that the detector is given at a time.
        share: this process's number, from 0, and how many there are.
    """

    folder: Path
    batch: int = 8
    share: tuple[int, int] = (0, 1)

    def own(self, header: Header) -> range:
        """The shards of this process."""
        return range(self.share[0], header.shards, self.share[1])


def described(part: Part, options: Mapping[str, Any]) -> dict[str, Any]:
    """A detector with its options, the files among them by what they hold: whether work may go on depends on it."""
    said: dict[str, Any] = {"part": part.name, "by": str(part.owner)}
    for name, value in sorted(options.items()):
        file = Path(value) if isinstance(value, str) and value else None
        if name == "device":
            continue
        if file is not None and file.is_file():
            size = file.stat().st_size
            held = {"sha256": sha256_of(file)} if size <= HASHED else {}
            said[name] = {"file": file.name, "bytes": size, **held}
        elif file is not None and file.is_dir():
            said[name] = {"folder": file.name}
        else:
            said[name] = value
    return said


def begin(work: Work, header: Header, say: Say) -> None:
    """Start a gallery, or go on with the one that is there: names what killed processes left, and removes it.

    A process that makes a share alone removes nothing: it can't know which others run.

    Raises:
        VlzooError: something else is there, or a gallery of other data or of another detector.
    """
    there = work.folder / HEADER
    if not there.exists():
        if work.folder.is_dir() and any(not each.name.startswith(".") for each in work.folder.iterdir()):
            fix = "give a new or an empty folder as --out"
            raise VlzooError("the folder holds something else than a gallery", where=str(work.folder), fix=fix)
        with writing(there, "the gallery"):
            header.write(work.folder)
        return
    old = asdict(read_header(work.folder))
    differing = [name for name, value in asdict(header).items() if old[name] != value]
    if differing and not any((work.folder / "shards").glob("[0-9]*")):
        header.write(work.folder)  # nothing was made with what it said before
    elif differing:
        said = "; ".join(f"{name}: {old[name]}, and now {asdict(header)[name]}" for name in differing)
        fix = "give another --out, or --overwrite to make it anew"
        raise VlzooError(f"another gallery is there ({said})", where=str(work.folder), fix=fix)
    if work.share == (0, 1):
        _go_on(work, header, say)


def _go_on(work: Work, header: Header, say: Say) -> None:
    lost = [place for place in left_behind(work.folder) if not _alive(place)]
    faults = [(number, fault_of(work.folder, number)) for number in range(header.shards)]
    for place in lost:
        say(f"{place.name}: half-written by a process that was killed; removed")
    for number, fault in faults:
        if fault not in ("", "missing"):
            say(f"shard {number:05d}: {fault}; it is made again")
            lost.append(shard_folder(work.folder, number))
    remove(lost)
    done = sum(not fault for _, fault in faults)
    say(f"{done} of {header.shards} shards are there; going on" if done < header.shards else "nothing is left to do")


def _alive(place: Path) -> bool:
    """Whether the process runs, on this machine, that writes a shard beside its place."""
    number = place.name.split(".")[-2]
    return number.isdigit() and is_alive(int(number))


def todo(work: Work, header: Header) -> list[int]:
    """The shards of this process that are not there yet, or not whole."""
    return [number for number in work.own(header) if fault_of(work.folder, number)]


def run(work: Work, header: Header, pictures: Pictures, detector: Detector, say: Say | None = None) -> None:
    """Make the shards of this process that are not there yet.

    Raises:
        DataError: a picture can't be read, or the detector fails on it.
        PluginError: what the detector gives is not what a detector gives.
    """
    of_shard = {number: _pictures_of(header, number) for number in todo(work, header)}
    total, looked = sum(len(each) for each in of_shard.values()), 0
    kept = (number for number in range(header.shards) if not fault_of(work.folder, number))
    width = next(widths(work.folder, islice(kept, 1)), None)
    progress = Progress("detecting", total, unit="pictures", brief=True, forecast=say)
    with closing(progress):
        for number, own in of_shard.items():
            rows: list[Found] = []
            for start in range(own.start, own.stop, work.batch):
                shown = [pictures[place] for place in range(start, min(start + work.batch, own.stop))]
                found = detected(detector, shown)
                width = _checked(detector, shown, found, width)
                rows += [_row(*each) for each in zip(shown, found, strict=True)]
                looked += len(shown)
                progress.update(looked)
            with writing(work.folder, "the gallery", DataError):
                write_shard(work.folder, number, rows, width or 0)


def _pictures_of(header: Header, shard: int) -> range:
    return range(shard * header.shard, min((shard + 1) * header.shard, header.pictures))


def _row(shown: Shown, regions: Features) -> Found:
    return Found(shown.source, shown.image_id, shown.image.name, regions)


def detected(detector: Detector, shown: Sequence[Shown]) -> Sequence[Features]:
    """What a detector finds in a batch.

    Raises:
        DataError: it fails; names the picture on which it does.
    """
    try:
        return detector.detect(shown)
    except Exception as error:
        for each in shown:
            _alone(detector, each)
        names = ", ".join(each.image.name for each in shown)
        what = f"{type(detector).__name__} fails on {len(shown)} pictures at once: {type(error).__name__}: {error}"
        raise DataError(what, where=names, fix="each of them alone is well: lower --batch") from error


def _alone(detector: Detector, shown: Shown) -> None:
    try:
        detector.detect([shown])
    except Exception as error:
        if isinstance(error, VlzooError) and shown.image.name in str(error):
            raise
        what = f"{type(detector).__name__} fails on this picture: {type(error).__name__}: {error}"
        fix = "see the picture; `vlzoo data check DATA --images --faults FILE` lists those that can't be read, and "
        fix += "--set data.skip=FILE leaves them out"
        raise DataError(what, where=f"{shown.image.name} ({shown.source} {shown.image_id})", fix=fix) from error


def _checked(detector: Detector, shown: Sequence[Shown], found: Sequence[Features], width: int | None) -> int:
    """The width of what a detector gave.

    Raises:
        PluginError: it is not what a detector gives.
    """
    name = type(detector).__name__
    if len(found) != len(shown):
        raise PluginError(f"{name} gave the regions of {len(found)} pictures for {len(shown)}")
    for each, regions in zip(shown, found, strict=True):
        wide = regions.features.shape[-1]
        if wrong := misshapen(regions, width if width is not None else wide):
            raise PluginError(f"{name}: {wrong}", where=each.image.name, fix="`vlzoo.Detector` says what is given")
        width = wide
    return width or 0


def misshapen(regions: Features, width: int) -> str:
    """What is wrong with the regions of a picture; empty where nothing is."""
    count = len(regions.features)
    if regions.features.shape != (count, width):
        return f"features of the shape {list(regions.features.shape)}, and {width} wide ones are expected"
    if regions.boxes.shape != (count, 4):
        return f"boxes of the shape {list(regions.boxes.shape)} for {count} regions"
    if len(regions.labels) != count:
        return f"{len(regions.labels)} labels for {count} regions"
    scores = np.ones(count) if regions.scores is None else regions.scores
    if scores.shape != (count,) or not ((scores >= 0) & (scores <= 1)).all():
        return f"scores of the shape {list(scores.shape)} for {count} regions, or not in [0, 1]"
    if not (np.isfinite(regions.features).all() and np.isfinite(regions.boxes).all()):
        return "features or boxes that are not finite"
    return ""


def spawn(arguments: Sequence[str], header: Header, work: Work, count: int, say: Say) -> None:
    """Run `vlzoo detect ARGUMENTS --share i/count` for every i, and wait; what a lost one leaves is done afterwards."""
    threads = max(1, (os.cpu_count() or 1) // count)
    env = {"OMP_NUM_THREADS": str(threads), **os.environ}
    command = [sys.executable, "-m", "vlzoo", "detect", *arguments]
    started: list[subprocess.Popen[bytes]] = []
    before = done(header, work.folder)
    progress = Progress("detecting", header.pictures, done=before, unit="pictures", brief=True, forecast=say)
    with closing(progress):
        try:
            for number in range(count):
                own = [*command, "--share", f"{number}/{count}"]
                started.append(subprocess.Popen(own, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            while any(process.poll() is None for process in started):
                time.sleep(WAIT_S)
                progress.update(done(header, work.folder))
        finally:
            for process in started:
                if process.poll() is None:
                    process.terminate()
    for number, process in enumerate(started):
        if code := process.returncode:
            say(f"process {number} of {count} ended with code {code}; what is left of its share is done here")


def done(header: Header, folder: Path) -> int:
    """How many pictures are in the shards that are there."""
    there = (folder / "shards").glob("[0-9]*")
    return sum(len(_pictures_of(header, int(place.name))) for place in there)
