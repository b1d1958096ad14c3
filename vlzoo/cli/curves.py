"""`vlzoo curves`: what runs logged, drawn in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlzoo.cli.run_type import RUN

if TYPE_CHECKING:
    from vlzoo.report.curves import Point

HEIGHT = 10
"""Rows of a drawing where nobody says another number."""
LEAST = 24
"""Columns of the narrowest drawing."""

Lines = dict[str, list["Point"]]


@click.command("curves")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option(
    "--figure", "-f", "wanted", multiple=True, metavar="NAME", help="Draw this figure alone; may stand several times."
)
@click.option("--height", type=click.IntRange(3), default=HEIGHT, show_default=True, help="Rows of a drawing.")
def command(runs: tuple[Path, ...], wanted: tuple[str, ...], height: int) -> None:
    """Draw what RUNs logged over their updates: losses and figures of validation, or those that are named.

    Where the terminal has colours the runs lie over each other, else each has a drawing of its own. RUN may be at work
    just now. `vlzoo report` draws the same, and more, on a page.
    """
    from vlzoo.report.curves import LOSSES, VALIDATION, kind_of, lines_of, losses_of
    from vlzoo.runs.run import Run

    found = {}
    for folder in runs:
        run = Run(folder)
        losses, lines = losses_of(run.tree().data), lines_of(run.metrics())
        usual = {name: points for name, points in lines.items() if kind_of(name, losses) in (LOSSES, VALIDATION)}
        found[str(folder)] = lines if wanted else usual
    for name in _names(found, wanted):
        _draw(name, {run: lines[name] for run, lines in found.items() if name in lines}, height)


def _names(found: dict[str, Lines], wanted: Sequence[str]) -> list[str]:
    """The figures to draw, in the order in which they are logged.

    Raises:
        CheckpointError: nothing was logged yet.
        UnknownName: one that was asked for was never logged.
    """
    from vlzoo.errors import CheckpointError, UnknownName, did_you_mean

    known = list(dict.fromkeys(name for lines in found.values() for name in lines))
    if not known:
        raise CheckpointError(
            f"{', '.join(found)}: nothing was logged yet", fix="a row comes every train.log_every updates"
        )
    for name in wanted:
        if name not in known:
            what = f"{', '.join(found)}: no figure called {name!r} was logged"
            raise UnknownName(what, fix=did_you_mean(name, known, what="figures"))
    return list(wanted) or known


def _draw(name: str, lines: dict[str, list[Point]], height: int) -> None:
    """A figure of all runs over each other, or of each by itself."""
    import sys

    from vlzoo.screen import takes_escapes

    if len(lines) == 1 or takes_escapes(sys.stdout):
        click.echo(_drawing(name, lines, height))
        return
    for run, points in lines.items():
        click.echo(_drawing(f"{name}, {run}", {run: points}, height))


def _drawing(title: str, lines: dict[str, list[Point]], height: int) -> str:
    """A box of dots with its title above and the last values below."""
    import sys

    from uniplot import plot_to_string

    from vlzoo.screen import takes_escapes, window

    steps, values = ([[point[axis] for point in points] for points in lines.values()] for axis in (0, 1))
    drawn: str = plot_to_string(
        values,
        xs=steps,
        lines=True,
        width=max(LEAST, min(window(), 110) - 16),  # numbers stand beside it
        height=height,
        title=title,
        legend_labels=list(lines) if len(lines) > 1 else None,
        color=takes_escapes(sys.stdout),
        character_set="braille",
    )
    last = "; ".join(f"{run}: {points[-1][1]:.4g} at step {points[-1][0]:,.0f}" for run, points in lines.items())
    return f"{drawn}\n{last}\n"
