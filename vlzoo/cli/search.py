"""`vlzoo search`: the pictures of a folder that fit a text best."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.model_options import asked_model, model_options
from vlzoo.cli.output import as_json, table

if TYPE_CHECKING:
    from vlzoo.inference.loaded import LoadedModel


@click.command("search")
@click.argument("text")
@click.option(
    "--images", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The folder, with all below it."
)
@model_options
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many pictures to name.")
@click.option("--json", "json_", is_flag=True, help="Print JSON: picture, score.")
def command(text: str, images: Path, top: int, json_: bool, **named: Any) -> None:
    """Find the pictures below DIR that fit TEXT best.

    They are ranked by the cosine of the embeddings; by the matching head where the model has no joint space. Pictures
    that can't be read are named and left out.
    """
    files = _pictures(images)
    found = _scored(asked_model(**named), text, files)
    best = sorted(found, key=lambda each: (-each[1], str(each[0])))[:top]
    if json_:
        as_json([{"picture": str(file), "score": score} for file, score in best])
    else:
        table([["score", "picture"], *([f"{score:.4f}", str(file)] for file, score in best)])


def _pictures(folder: Path) -> list[Path]:
    """The pictures below a folder, by the endings of their names.

    Raises:
        DataError: it is none, or holds no picture.
    """
    from vlzoo.errors import DataError
    from vlzoo.explain.subject import SUFFIXES

    if not folder.is_dir():
        what = "a file where a folder of pictures is expected" if folder.exists() else "there is no such folder"
        raise DataError(what, where=str(folder), fix="give --images the folder that holds the pictures")
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        fix = f"pictures are files that end in {', '.join(sorted(SUFFIXES))}"
        raise DataError("no picture lies in this folder or below it", where=str(folder), fix=fix)
    return found


def _scored(model: LoadedModel, text: str, files: list[Path]) -> list[tuple[Path, float]]:
    """How well each picture that can be read fits the text.

    Raises:
        DataError: none of them can be read.
    """
    from vlzoo.errors import DataError
    from vlzoo.explain.subject import BATCH, load_picture
    from vlzoo.progress import Progress

    found: list[tuple[Path, float]] = []
    fits = model.fitting(text)
    with closing(Progress("pictures", len(files), unit="pictures", brief=True, forecast=_say)) as progress:
        for start in range(0, len(files), BATCH):
            read = {}
            for file in files[start : start + BATCH]:
                try:
                    read[file] = load_picture(file).open()
                except DataError as error:
                    _say(f"left out: {error.where}: {error.what}")
            found += zip(read, map(float, fits(list(read.values()))) if read else (), strict=True)
            progress.update(min(start + BATCH, len(files)))
    if not found:
        raise DataError(f"none of {len(files)} pictures can be read", fix="see above, picture by picture")
    return found


def _say(line: str) -> None:
    click.echo(line, err=True)
