"""Make the corpus: pictures in parallel, then the texts that weigh many pictures, then the files, all or nothing."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from vlzoo.data.scenes.picture import Picture, PictureOrder, make_pictures
from vlzoo.data.scenes.words import SPLITS, TEST_PAIRS
from vlzoo.data.scenes.write import dump, fingerprint, is_of, write_annotations, write_unpaired
from vlzoo.errors import DataError
from vlzoo.files import new_folder, writing
from vlzoo.signals import ignore_stops

VERSION = 1
"""Of the generator: it rises when the same seed gives other pictures or texts."""
FEWEST = 24
SIDES = (64, 256)
CHUNK = 64


@dataclass(frozen=True)
class Sizes:
    """Pictures of each split; `premises` are those of SNLI-VE, which come on top."""

    train: int
    val: int
    test: int
    premises_train: int
    premises_val: int
    premises_test: int

    @classmethod
    def of(cls, images: int) -> Sizes:
        """The usual sizes of `images` scenes: an eighth, at most 500, each for val and test; the rest for train.

        Raises:
            DataError: fewer than 24 images.
        """
        if images < FEWEST:
            raise DataError(f"{images} images cannot be split", where="--images", fix=f"ask for {FEWEST} or more")
        held = min(500, images // 8)
        return cls.split(images - 2 * held, held, held)

    @classmethod
    def split(cls, train: int, val: int, test: int) -> Sizes:
        """These sizes, with a premise for every third training scene and for each one of val and test.

        Raises:
            DataError: a split of fewer than 3 images.
        """
        for name, size in zip(SPLITS, (train, val, test), strict=True):
            if size < 3:
                raise DataError(f"{size} images for {name}", where="--split-sizes", fix="3 or more for each split")
        return cls(train, val, test, max(3, train // 3), val, test)

    def orders(self) -> list[PictureOrder]:
        """All pictures in the order of their ids, which count from 1."""
        wanted = [("scene", split, getattr(self, split)) for split in SPLITS]
        wanted += [("premise", split, getattr(self, f"premises_{split}")) for split in SPLITS]
        places = [(split, kind, number) for kind, split, size in wanted for number in range(size)]
        return [PictureOrder(image_id, *place) for image_id, place in enumerate(places, start=1)]


def make_scenes(
    out: Path,
    sizes: Sizes,
    *,
    seed: int = 0,
    side: int = 64,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write the corpus to the folder `out` and return its card.

    Args:
        out: a folder that does not exist or is empty.
        sizes: pictures of each split.
        seed: decides everything; the number of workers decides nothing.
        side: width and height of the pictures in pixels, 64 to 256.
        workers: processes that draw; with 1 no process is started.
        force: replace a corpus of scenes that is in `out` already.
        progress: called with the number of pictures just finished.

    Raises:
        DataError: `out` holds something, `side` is out of range, the disk does not take the files, or a worker died.
    """
    if not SIDES[0] <= side <= SIDES[1]:
        raise DataError(f"a side of {side} px", where="--size", fix=f"choose {SIDES[0]} to {SIDES[1]}")
    _refuse(out, force)
    with writing(out, "the corpus", DataError, "check room and rights"), new_folder(out, replace=True) as folder:
        (folder / "images").mkdir()
        pictures = _draw_all(sizes.orders(), seed, side, folder / "images", workers, progress)
        with _no_collection():
            write_annotations(folder / "annotations", pictures, seed, side)
        write_unpaired(folder, [picture for picture in pictures if is_of(picture, "scene", "train")])
        card = _card(folder, pictures, sizes, seed, side)
        dump(folder / "card.json", card, indent=1)
    return card


@contextmanager
def _no_collection() -> Iterator[None]:
    """Millions of small values, none in a cycle: looking through them for garbage would take half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _refuse(out: Path, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise DataError("a file is where the folder should be", where=str(out), fix="give another --out")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not force:
        raise DataError("the folder is not empty", where=str(out), fix="give another --out, or --force to replace it")
    if not _is_corpus(out):
        raise DataError(
            "the folder holds something other than Scenes, which --force does not remove",
            where=str(out),
            fix="give another --out, or empty the folder yourself",
        )


def _is_corpus(out: Path) -> bool:
    try:
        return json.loads((out / "card.json").read_text())["name"] == "scenes"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _draw_all(
    orders: Sequence[PictureOrder],
    seed: int,
    side: int,
    folder: Path,
    workers: int,
    progress: Callable[[int], None] | None,
) -> list[Picture]:
    chunks = [list(orders[start : start + CHUNK]) for start in range(0, len(orders), CHUNK)]
    pictures: list[Picture] = []
    for done in _each(chunks, seed, side, folder, workers):
        pictures.extend(done)
        if progress:
            progress(len(done))
    return pictures


def _each(
    chunks: Sequence[list[PictureOrder]], seed: int, side: int, folder: Path, workers: int
) -> Iterator[list[Picture]]:
    if workers <= 1 or len(chunks) == 1:
        yield from (make_pictures(chunk, seed, side, folder) for chunk in chunks)
        return
    # Spawned, not forked: the caller may have started threads (torch does).
    context = get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(chunks)), mp_context=context, initializer=ignore_stops)
    try:
        tasks = [pool.submit(make_pictures, chunk, seed, side, folder) for chunk in chunks]
        yield from (task.result() for task in tasks)
    except BrokenExecutor as error:
        raise DataError("a drawing process died", where="--workers", fix="try --workers 1") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _card(folder: Path, pictures: Sequence[Picture], sizes: Sizes, seed: int, side: int) -> dict[str, Any]:
    return {
        "name": "scenes",
        "licence": "CC0-1.0",
        "generator": VERSION,
        "seed": seed,
        "size": side,
        "images": len(pictures),
        "sizes": asdict(sizes),
        "test_only": [f"{color} {shape}" for color, shape in TEST_PAIRS],
        "fingerprint": fingerprint(folder, pictures),
    }
