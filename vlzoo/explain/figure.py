"""Sheets of small pictures with titles, written as one file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.explain.draw import Levels
from vlzoo.explain.fonts import Fonts, drawable, fonts_for
from vlzoo.files import replacing, writing
from vlzoo.screen import shortened, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg", "jpg")
"""What a sheet can be written as, by the file's suffix."""

WIDTH = 2.1
"""Width of a cell, in inches, where a sheet says nothing else."""

GAP = 0.42
"""Between two rows, for note and title, in inches."""

TITLE, NOTE = 25, 40
"""Most columns of a title and of a note: what fits a cell of `WIDTH`; a Chinese character takes two."""

DPI = 120
"""Pixels an inch."""


@dataclass(frozen=True)
class Cell:
    """A picture in a sheet.

    Attributes:
        picture: levels, [H, W, 3].
        title: above it.
        note: below it, smaller.
        text: in its middle: a cell that is a word has a blank picture.
    """

    picture: Levels
    title: str
    note: str = ""
    text: str = ""


@dataclass(frozen=True)
class Sheet:
    """Cells in rows.

    Attributes:
        cells: in reading order; all pictures of one size.
        columns: cells in a row.
        title: over the sheet.
        lines: below the title, one each.
        foot: under the sheet.
        width: of a cell, in inches.
    """

    cells: Sequence[Cell]
    columns: int
    title: str
    lines: Sequence[str] = ()
    foot: str = ""
    width: float = WIDTH


def format_of(file: Path) -> str:
    """The format a file's suffix names.

    Raises:
        VlzooError: it names none that can be written.
    """
    suffix = file.suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise VlzooError(f"can't draw to {file.name!r}", fix=did_you_mean(suffix, FORMATS, what="suffixes"))
    return suffix


def write(sheet: Sheet, file: Path) -> str:
    """Draw a sheet into a file; a reader sees the old file or the whole new one.

    Returns:
        Which characters no installed font has; empty where all are drawn. It stands under the sheet, too.

    Raises:
        VlzooError: the suffix names no format, or the file can't be written.
    """
    kind = format_of(file)
    note = fonts_of(sheet).note()
    figure = draw(replace(sheet, foot=f"{sheet.foot} Note: {note}".strip() if note else sheet.foot))
    with writing(file, "the picture", fix="choose another --out"), replacing(file) as fresh, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")  # the note says it, once
        figure.savefig(fresh, format=kind, dpi=DPI, facecolor="white")
    return note


def fonts_of(sheet: Sheet) -> Fonts:
    """The fonts that draw all texts of a sheet."""
    cells = (text for cell in sheet.cells for text in (cell.title, cell.note, cell.text))
    return fonts_for(drawable("".join((sheet.title, *sheet.lines, sheet.foot, *cells))))


def draw(sheet: Sheet) -> Figure:
    """A sheet as a matplotlib figure, made without its global state."""
    from matplotlib.figure import Figure

    rows = -(-len(sheet.cells) // sheet.columns)
    height, width = sheet.cells[0].picture.shape[:2]
    wide = max(sheet.columns * sheet.width, 3 * WIDTH)
    heading = wrapped(drawable(sheet.title), int(wide * 9))
    foot = wrapped(drawable(sheet.foot), int(wide * 14)) if sheet.foot else []
    families = list(fonts_of(sheet).families)
    cell = sheet.width * height / width
    top, bottom = 0.2 * len(heading) + 0.17 * len(sheet.lines) + 0.45, 0.15 * len(foot) + 0.3
    tall = top + rows * cell + (rows - 1) * GAP + bottom
    figure = Figure(figsize=(wide, tall))
    weight = "bold" if len(families) == 1 else "normal"  # other fonts may have no bold, and half a line of it is ugly
    _write_lines(figure, heading, tall - 0.1, 0.2, fontsize=11, weight=weight, family=families)
    lines = [drawable(line) for line in sheet.lines]
    _write_lines(figure, lines, tall - 0.13 - 0.2 * len(heading), 0.17, fontsize=9, color="0.25", family=families)
    _write_lines(figure, foot, 0.15 * len(foot) + 0.03, 0.15, fontsize=7, color="0.4", family=families)
    grid = figure.add_gridspec(
        rows,
        sheet.columns,
        left=0.1 / wide,
        right=1 - 0.1 / wide,
        bottom=bottom / tall,
        top=1 - top / tall,
        wspace=0.05,
        hspace=GAP / cell,
    )
    for i, each in enumerate(sheet.cells):
        _place(figure.add_subplot(grid[divmod(i, sheet.columns)]), each, families, sheet.width / WIDTH)
    return figure


def _write_lines(figure: Figure, lines: Sequence[str], start: float, step: float, **style: Any) -> None:
    """Lines of text downwards from `start`, in inches from the lower edge."""
    wide, tall = figure.get_size_inches()
    for i, line in enumerate(lines):
        # A dollar sign in a caption is no formula.
        figure.text(0.1 / wide, (start - step * i) / tall, line, ha="left", va="top", parse_math=False, **style)


def _place(axes: Axes, cell: Cell, families: list[str], wider: float) -> None:
    axes.imshow(cell.picture)
    axes.set_xticks([])
    axes.set_yticks([])
    style: dict[str, Any] = {"family": families, "parse_math": False}
    axes.set_title(shortened(drawable(cell.title), int(wider * TITLE)), fontsize=9, pad=3, **style)
    axes.set_xlabel(shortened(drawable(cell.note), int(wider * NOTE)), fontsize=7, color="0.4", labelpad=2, **style)
    if cell.text:
        said = shortened(drawable(cell.text), int(wider * TITLE))
        axes.text(0.5, 0.5, said, transform=axes.transAxes, ha="center", va="center", fontsize=9, **style)
    for side in axes.spines.values():
        side.set(linewidth=0 if cell.text else 0.4, color="0.8")
