"""`vlzoo data make`: write a corpus that is generated."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlzoo.errors import DataError, did_you_mean
from vlzoo.progress import Progress

if TYPE_CHECKING:
    from vlzoo.data.scenes.make import Sizes

CORPORA = ("scenes",)
MOST_WORKERS = 8


@click.command()
@click.argument("name", metavar="scenes")
@click.option("--images", type=int, default=10_000, show_default=True, help="Scenes in all splits together.")
@click.option("--split-sizes", metavar="TRAIN,VAL,TEST", help="Scenes of each split; overrides --images.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides every picture and text.")
@click.option("--size", "side", type=int, default=64, show_default=True, help="Side of the pictures, 64 to 256 px.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write; new or empty.")
@click.option("--workers", type=int, help="Processes that draw [default: cores, at most 8]. Changes no result.")
@click.option("--force", is_flag=True, help="Replace a corpus that is in the folder already.")
def make(
    name: str,
    images: int,
    split_sizes: str | None,
    seed: int,
    side: int,
    out: Path,
    workers: int | None,
    force: bool,
) -> None:
    """Make the corpus Scenes: pictures whose content is known, with texts in the official formats.

    Premise pictures for SNLI-VE come on top: one for every third training scene, and one for each of val and test.
    """
    from vlzoo.data.scenes.make import Sizes, make_scenes

    if name not in CORPORA:
        raise DataError(f"no generated corpus called {name!r}", fix=did_you_mean(name, CORPORA))
    sizes = _split(split_sizes) if split_sizes else Sizes.of(images)
    progress = Progress("drawing", len(sizes.orders()), unit="pictures", brief=True)

    def advance(drawn: int) -> None:
        progress.update(progress.done + drawn)

    with closing(progress):
        count = workers if workers is not None else _cores()
        card = make_scenes(out, sizes, seed=seed, side=side, workers=count, force=force, progress=advance)
    parts = ", ".join(f"{split} {size}" for split, size in card["sizes"].items())
    click.echo(f"{out}: {card['images']} pictures of {side} px ({parts}), {card['licence']}")
    click.echo(f"fingerprint {card['fingerprint']}")


def _split(text: str) -> Sizes:
    from vlzoo.data.scenes.make import Sizes

    try:
        train, val, test = map(int, text.split(","))
    except ValueError as error:
        raise DataError(
            f"not three numbers: {text!r}", where="--split-sizes", fix="for example 9000,500,500"
        ) from error
    return Sizes.split(train, val, test)


def _cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, MOST_WORKERS)
