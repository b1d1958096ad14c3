"""`vlzoo explain`: draw word-conditional Grad-CAM maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.data.records import ImageRef
    from vlzoo.explain.explain import Explained, Explainer
    from vlzoo.explain.figure import Sheet


@click.command("explain")
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("caption")
@click.option("--run", required=True, type=click.Path(path_type=Path), help="The run to explain.")
@click.option("--against", type=click.Path(path_type=Path), metavar="RUN", help="Put this run's maps beside them.")
@click.option("--softmask", is_flag=True, help="Show what the soft mask of one word hides.")
@click.option("--word", help="Of the soft mask: this word, not a drawn one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the soft mask: decides the word drawn.")
@click.option("--layer", type=int, help="The fusion layer, from 0 [default: 2, or the last that has word maps].")
@click.option("--style", type=click.Choice(["overlay", "cells"]), default="overlay", show_default=True)
@click.option("--pieces", is_flag=True, help="Show sub-word pieces one by one, not the mean of a word's.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.png", help="The picture to write.")
@click.option("--json", "json_", is_flag=True, help="Print scores and every word's peak as JSON.")
def command(
    image: Path,
    caption: str,
    run: Path,
    against: Path | None,
    softmask: bool,
    word: str | None,
    seed: int,
    layer: int | None,
    style: str,
    pieces: bool,
    precision: str,
    out: Path | None,
    json_: bool,
) -> None:
    """Draw where the model RUN looks in IMAGE for every word of CAPTION, with its matching score.

    The last fusion layer has no word maps and is refused. `cells` shows the raw patches, `overlay` smooth colours as
    ALBEF draws them.
    """
    _check(out, against, softmask, word, json_)
    from vlzoo.cli.output import as_json
    from vlzoo.explain.figure import write

    picture = _picture(image)
    explainers = [_explainer(each, layer, precision) for each in (run, against) if each]
    if softmask:
        sheet, told = _softmask(explainers[0], picture, caption, run, word, seed, style)
    else:
        shown = [each.explain(picture, caption) for each in explainers]
        sheet, told = _maps(shown, caption, _names(run, against), style, pieces)
    if out:
        write(sheet, out)
    if json_:
        as_json({"image": str(image), "caption": caption, **told})
        return
    for line in sheet.lines:
        click.echo(line)
    click.echo(f"written to {out}")


def _check(out: Path | None, against: Path | None, softmask: bool, word: str | None, json_: bool) -> None:
    """Refuse at once what would fail after loading a model."""
    from vlzoo.explain.figure import format_of

    if out is None and not json_:
        raise VlzooError("nowhere to draw to", fix="add --out FILE.png, or --json for the figures alone")
    if out is not None:
        format_of(out)
    if softmask and against:
        raise VlzooError("--softmask and --against don't go together", fix="draw each run's soft mask by itself")
    if word and not softmask:
        raise VlzooError("--word says what the soft mask is of", fix="add --softmask; maps are drawn for every word")


def _picture(image: Path) -> ImageRef:
    from vlzoo.data.images import FileImage

    picture = FileImage(str(image.parent), image.name)
    try:
        picture.open()
    except VlzooError as error:
        raise type(error)(
            error.what, where=error.where, fix="IMAGE is the path of one picture: JPEG, PNG, ..."
        ) from error
    return picture


def _explainer(run: Path, layer: int | None, precision: str) -> Explainer:
    """The run, ready to explain; an error names the run, because there may be two."""
    from vlzoo.bench.engine import load_run
    from vlzoo.explain.explain import Explainer

    engine = load_run(run, precision=precision)
    try:
        return Explainer(engine, layer)
    except VlzooError as error:
        raise type(error)(error.what, where=str(run), fix=error.fix) from error


def _maps(
    shown: list[Explained], caption: str, names: list[str], style: str, pieces: bool
) -> tuple[Sheet, dict[str, Any]]:
    from dataclasses import replace

    from vlzoo.explain.sheets import against_sheet, figures, words_sheet
    from vlzoo.explain.words import shared_words, split_pieces

    if pieces:
        shown = [replace(each, words=split_pieces(each.words)) for each in shown]
    words = shared_words([each.words for each in shown])
    told = {"runs": [figures(n, each, each.words) for n, each in zip(names, shown, strict=True)]}
    if len(shown) == 1:
        return words_sheet(shown[0], caption, words, style), told
    return against_sheet(list(zip(names, shown, strict=True)), caption, words, style), told


def _softmask(
    explainer: Explainer, picture: ImageRef, caption: str, run: Path, word: str | None, seed: int, style: str
) -> tuple[Sheet, dict[str, Any]]:
    from vlzoo.explain.sheets import figures, mask_figures, mask_sheet

    shown, hidden = explainer.masked(picture, caption, seed=seed, word=word)
    told = {"runs": [figures(run.name, shown, shown.words)], "softmask": mask_figures(hidden)}
    return mask_sheet(shown, hidden, caption, style), told


def _names(run: Path, against: Path | None) -> list[str]:
    """The runs' names, as short as tells them apart."""
    if against is None:
        return [run.resolve().name]
    pair = [run.resolve(), against.resolve()]
    same = pair[0].name == pair[1].name
    return [str(Path(each.parent.name, each.name)) if same else each.name for each in pair]
