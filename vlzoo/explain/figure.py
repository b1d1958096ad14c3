"""Sheets of small pictures with titles, written as one file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.explain.draw import Levels
from vlzoo.files import replacing, writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg", "jpg")
"""What a sheet can be written as, by the file's suffix."""

WIDTH = 2.1
"""Width of a cell, in inches."""

GAP = 0.42
"""Between two rows, for note and title, in inches."""

TITLE, NOTE = 25, 40
"""Most characters of a title and of a note: what fits a cell."""

DPI = 120
"""Pixels an inch."""


@dataclass(frozen=True)
class Cell:
    """A picture in a sheet.

    Attributes:
        picture: levels, [H, W, 3].
        title: above it.
        note: below it, smaller.
    """

    picture: Levels
    title: str
    note: str = ""


@dataclass(frozen=True)
class Sheet:
    """Cells in rows.

    Attributes:
        cells: in reading order; all pictures of one size.
        columns: cells in a row.
        title: over the sheet.
        lines: below the title, one each.
        foot: under the sheet.
    """

    cells: Sequence[Cell]
    columns: int
    title: str
    lines: Sequence[str] = ()
    foot: str = ""


def format_of(file: Path) -> str:
    """The format a file's suffix names.

    Raises:
        VlzooError: it names none that can be written.
    """
    suffix = file.suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise VlzooError(f"can't draw to {file.name!r}", fix=did_you_mean(suffix, FORMATS, what="suffixes"))
    return suffix


def write(sheet: Sheet, file: Path) -> None:
    """Draw a sheet into a file; a reader sees the old file or the whole new one.

    Raises:
        VlzooError: the suffix names no format, or the file can't be written.
    """
    kind = format_of(file)
    figure = draw(sheet)
    with writing(file, "the picture", fix="choose another --out"), replacing(file) as fresh:
        figure.savefig(fresh, format=kind, dpi=DPI, facecolor="white")


def draw(sheet: Sheet) -> Figure:
    """A sheet as a matplotlib figure, made without its global state."""
    from matplotlib.figure import Figure

    rows = -(-len(sheet.cells) // sheet.columns)
    height, width = sheet.cells[0].picture.shape[:2]
    wide = max(sheet.columns, 3) * WIDTH
    heading = textwrap.wrap(sheet.title, int(wide * 9)) or [""]
    foot = textwrap.wrap(sheet.foot, int(wide * 14))
    cell = WIDTH * height / width
    top, bottom = 0.2 * len(heading) + 0.17 * len(sheet.lines) + 0.45, 0.15 * len(foot) + 0.3
    tall = top + rows * cell + (rows - 1) * GAP + bottom
    figure = Figure(figsize=(wide, tall))
    _write_lines(figure, heading, tall - 0.1, 0.2, fontsize=11, weight="bold")
    _write_lines(figure, sheet.lines, tall - 0.13 - 0.2 * len(heading), 0.17, fontsize=9, color="0.25")
    _write_lines(figure, foot, 0.15 * len(foot) + 0.03, 0.15, fontsize=7, color="0.4")
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
        _place(figure.add_subplot(grid[divmod(i, sheet.columns)]), each)
    return figure


def _write_lines(figure: Figure, lines: Sequence[str], start: float, step: float, **style: Any) -> None:
    """Lines of text downwards from `start`, in inches from the lower edge."""
    wide, tall = figure.get_size_inches()
    for i, line in enumerate(lines):
        # A dollar sign in a caption is no formula.
        figure.text(0.1 / wide, (start - step * i) / tall, line, ha="left", va="top", parse_math=False, **style)


def _place(axes: Axes, cell: Cell) -> None:
    axes.imshow(cell.picture)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(_fitting(cell.title, TITLE), fontsize=9, pad=3, parse_math=False)
    axes.set_xlabel(_fitting(cell.note, NOTE), fontsize=7, color="0.4", labelpad=2, parse_math=False)
    for side in axes.spines.values():
        side.set(linewidth=0.4, color="0.8")


def _fitting(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
