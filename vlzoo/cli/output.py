"""How commands print: plain tables that fit the window, JSON that nothing else is mixed into."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

import click


def table(rows: Sequence[Sequence[str]], *, indent: int = 0, wrap: int | None = None) -> None:
    """Print rows in aligned columns; column `wrap` takes the room that is left and wraps.

    Written here, not with rich: importing rich costs more than `vlzoo list` may take.
    """
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    window = shutil.get_terminal_size((110, 24)).columns
    if wrap is not None:
        others = sum(widths) - widths[wrap] + 2 * (len(widths) - 1) + indent
        widths[wrap] = max(1, min(widths[wrap], max(24, window - others)))
    for row in rows:
        for line in _lines(row, widths, wrap):
            click.echo(" " * indent + line)


def _lines(row: Sequence[str], widths: Sequence[int], wrap: int | None) -> list[str]:
    folded = [textwrap.wrap(c, widths[i]) or [""] if i == wrap else [c] for i, c in enumerate(row)]
    height = max(len(cell) for cell in folded)
    cells = [[*cell, *[""] * (height - len(cell))] for cell in folded]
    return [
        "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip()
        for line in zip(*cells, strict=True)
    ]


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
