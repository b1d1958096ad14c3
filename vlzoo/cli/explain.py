"""`vlzoo explain`: draw word-conditional Grad-CAM maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.errors import DataError, VlzooError, did_you_mean

if TYPE_CHECKING:
    from vlzoo.bench.engine import Engine
    from vlzoo.data.records import ImageRef
    from vlzoo.explain.explain import Explained, Explainer
    from vlzoo.explain.figure import Sheet

MOST_BYTES = 512_000_000
"""Bytes of a file that may hold one picture: what the most pixels take uncompressed, as in archives."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
"""Of the files that a message names as pictures."""


@dataclass(frozen=True)
class ExplainOptions:
    """What is to be drawn, as the command line says it.

    Attributes:
        image: the picture's file.
        caption: its text.
        run: the run to explain.
        against: a run whose maps are put beside.
        softmask: show what the soft mask of one word hides.
        word: of the soft mask; None: a drawn one.
        seed: decides the word drawn.
        layer: the fusion layer, from 0; None: the usual one.
        style: how a map is laid on the picture.
        pieces: show sub-word pieces one by one.
        precision: of the forward pass.
        out: the file to write.
        json_: print figures as JSON.
    """

    image: Path
    caption: str
    run: Path
    against: Path | None
    softmask: bool
    word: str | None
    seed: int
    layer: int | None
    style: str
    pieces: bool
    precision: str
    out: Path | None
    json_: bool

    def check(self) -> None:
        """Refuse at once what would fail after loading a model.

        Raises:
            VlzooError: options that don't go together, or a suffix that can't be drawn to.
        """
        from vlzoo.explain.figure import format_of

        check_utf8(self.caption, "CAPTION")
        check_utf8(self.word or "", "--word")
        if self.out is None and not self.json_:
            raise VlzooError("nowhere to draw to", fix="add --out FILE.png, or --json for the figures alone")
        if self.out is not None:
            format_of(self.out)
        if self.softmask and self.against:
            raise VlzooError("--softmask and --against don't go together", fix="draw each run's soft mask by itself")
        if self.word and not self.softmask:
            raise VlzooError(
                "--word says what the soft mask is of", fix="add --softmask; maps are drawn for every word"
            )

    def names(self) -> list[str]:
        """The runs' names, as short as tells them apart."""
        runs = [each.resolve() for each in (self.run, self.against) if each]
        same = len(runs) == 2 and runs[0].name == runs[1].name
        return [str(Path(each.parent.name, each.name)) if same else each.name for each in runs]


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
def command(**options: Any) -> None:
    """Draw where the model RUN looks in IMAGE for every word of CAPTION, with its matching score.

    The last fusion layer has no word maps and is refused. `cells` shows the raw patches, `overlay` smooth colours as
    ALBEF draws them.
    """
    wanted = ExplainOptions(**options)
    wanted.check()
    from vlzoo.cli.output import as_json
    from vlzoo.explain.figure import write

    picture = open_picture(wanted.image)
    explainers = [load_explainer(each, wanted) for each in (wanted.run, wanted.against) if each]
    draw = mask_of_a_word if wanted.softmask else maps_of_words
    sheet, figures = draw(wanted, explainers, picture)
    if wanted.out and (note := write(sheet, wanted.out)):
        click.echo(f"note: {note}", err=True)
    if wanted.json_:
        as_json({"image": str(wanted.image), "caption": wanted.caption, **figures})
        return
    for line in sheet.lines:
        click.echo(line)
    click.echo(f"written to {wanted.out}")


def open_picture(image: Path) -> ImageRef:
    """The picture, which has been read once. What the user named is read, wherever links lead.

    Raises:
        DataError: there is none, or it can't be read.
    """
    from vlzoo.data.images import MAX_PIXELS, BytesImage

    try:
        with image.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise unread(image, error) from error
    if not data:
        raise DataError("the file is empty", where=str(image), fix="copy or download it again")
    if len(data) > MOST_BYTES:
        what = f"more than {MOST_BYTES:,} bytes are too many for a picture"
        raise DataError(what, where=str(image), fix=f"IMAGE may have {MAX_PIXELS:,} pixels: make it smaller")
    picture = BytesImage(str(image), data)
    try:
        picture.open()
    except DataError as error:
        fix = error.fix or "IMAGE is the path of one picture: JPEG, PNG, ..."
        raise DataError(error.what, where=error.where, fix=fix) from error
    return picture


def unread(image: Path, error: OSError) -> DataError:
    """Why the file of a picture can't be opened, and what would do."""
    where = str(image)
    if image.is_symlink() and isinstance(error, FileNotFoundError):
        what = f"this link leads to {str(image.readlink())!r}, where there is no file"
        return DataError(what, where=where, fix="bring that file back, or download it again")
    folder = image if image.is_dir() else image.parent
    try:
        beside = sorted(each.name for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
    except OSError:
        beside = []
    if isinstance(error, IsADirectoryError):
        fix = f"name one picture in it: {image / beside[0]}" if beside else "IMAGE is the path of one picture"
        return DataError("a folder where one picture is expected", where=where, fix=fix)
    if isinstance(error, FileNotFoundError):
        fix = did_you_mean(image.name, beside, what="pictures there") if beside else "IMAGE is the path of one picture"
        return DataError("there is no such picture", where=where, fix=fix)
    return DataError(f"the picture can't be read: {error.strerror}", where=where, fix="name a file that you may read")


def check_utf8(text: str, what: str) -> None:
    """Refuse a text whose bytes on the command line are not UTF-8: which characters were meant can't be told.

    Raises:
        VlzooError: they are not.
    """
    data = text.encode("utf-8", "surrogateescape")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        fault = f"{what} is not UTF-8: the byte 0x{data[error.start]:02x} after {before[-20:]!r}"
        fix = "use a terminal that sends UTF-8, or convert the text: iconv -f latin1 -t utf-8"
        raise VlzooError(fault, fix=fix) from error


def load_explainer(run: Path, wanted: ExplainOptions) -> Explainer:
    """The run, ready to explain; an error names the run, because there may be two."""
    from vlzoo.bench.engine import load_run
    from vlzoo.explain.explain import Explainer

    engine = load_run(run, precision=wanted.precision)
    try:
        return Explainer(engine, wanted.layer)
    except VlzooError as error:
        raise type(error)(error.what, where=str(run), fix=error.fix) from error


def maps_of_words(
    wanted: ExplainOptions, explainers: Sequence[Explainer], picture: ImageRef
) -> tuple[Sheet, dict[str, Any]]:
    """The maps of every word, of one run or of two side by side, and their figures."""
    from dataclasses import replace

    from vlzoo.explain.sheets import against_sheet, words_sheet
    from vlzoo.explain.words import shared_words, split_pieces

    shown = [each.explain(picture, wanted.caption) for each in explainers]
    if wanted.pieces:
        shown = [replace(each, words=split_pieces(each.words)) for each in shown]
    words = shared_words([each.words for each in shown])
    named = list(zip(wanted.names(), shown, strict=True))
    found = {"runs": [figures_of(name, e.engine, each) for (name, each), e in zip(named, explainers, strict=True)]}
    if len(shown) == 1:
        return words_sheet(shown[0], wanted.caption, words, wanted.style), found
    return against_sheet(named, wanted.caption, words, wanted.style), found


def mask_of_a_word(
    wanted: ExplainOptions, explainers: Sequence[Explainer], picture: ImageRef
) -> tuple[Sheet, dict[str, Any]]:
    """What the soft mask of one word hides, and its figures."""
    from vlzoo.explain.sheets import mask_figures, mask_sheet

    shown, hidden = explainers[0].masked(picture, wanted.caption, seed=wanted.seed, word=wanted.word)
    told = figures_of(wanted.run.name, explainers[0].engine, shown)
    found = {"runs": [told], "softmask": mask_figures(hidden)}
    return mask_sheet(shown, hidden, wanted.caption, wanted.style), found


def figures_of(name: str, engine: Engine, shown: Explained) -> dict[str, Any]:
    """A run's figures, with the hash of its weights and the precision that they were computed in."""
    from vlzoo.explain.sheets import figures

    return {**figures(name, shown, shown.words), "weights": engine.weights, "precision": engine.precision}
