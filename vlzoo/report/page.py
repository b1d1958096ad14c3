"""A comparison as one file of HTML: no network, no script, light and dark, for a phone too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vlzoo import __version__
from vlzoo.report.compare import Comparison, Entry, Figure, Table
from vlzoo.report.published import Number, in_rows
from vlzoo.report.words import alone, ends, explained, heading, metric_name, notes_of, p_text, where_none

WIDTH, EDGE = 120, 6
"""Of a drawn interval in pixels, and what is left free at both sides."""


def page(found: Comparison, beside: Sequence[Sequence[Number]], published: bool) -> str:
    """The page.

    Args:
        found: the comparison.
        beside: the published numbers of each table.
        published: whether they were asked for: then a table without any says so.
    """
    environment = Environment(
        loader=PackageLoader("vlzoo", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = environment.get_template("page.html").render(
        title=" and ".join(found.runs) if len(found.runs) < 3 else f"{found.runs[0]} and {len(found.runs) - 1} others",
        version=__version__,
        runs=found.runs,
        flagged=found.flagged,
        tables=[_table(each, numbers, published) for each, numbers in zip(found.tables, beside, strict=True)],
        below=[*alone(found), *explained(found)],
    )
    return made.encode("utf-8", "replace").decode("utf-8")  # a name may hold half a surrogate pair


def _table(table: Table, numbers: Sequence[Number], published: bool) -> dict[str, Any]:
    name, _, about = heading(table).partition(": ")
    scale = _scale(table)
    return {
        "name": name,
        "about": about,
        "base": table.runs[0],
        "several": len(table.runs) > 1,
        "rows": [
            _row(table, figure, entry, scale, number == 0)
            for figure in table.figures
            for number, entry in enumerate(figure.entries)
        ],
        "notes": table.notes,
        "published": in_rows(numbers) if numbers else [],
        "published_notes": notes_of(numbers),
        "none": where_none(table) if published else "",
    }


def _row(table: Table, figure: Figure, entry: Entry, scale: float, first: bool) -> dict[str, Any]:
    row = {
        "metric": metric_name(table, figure) if first else "",
        "run": entry.run,
        "value": f"{entry.value:.2f}",
        "ends": ends(entry.interval),
        "side": "",
        "difference": "",
        "difference_ends": "",
        "drawn": None,
        "p": "",
        "p_holm": "",
        "test": entry.test or entry.why_not,
    }
    if entry.difference is None or entry.p_value is None or entry.p_holm is None:
        return row
    return row | {
        "side": "" if entry.p_holm >= 0.05 else "better" if entry.difference > 0 else "worse",
        "difference": f"{entry.difference:+.2f}",
        "difference_ends": ends(entry.difference_interval, "+"),
        "drawn": _drawn(entry, scale),
        "p": p_text(entry.p_value),
        "p_holm": p_text(entry.p_holm),
    }


def _scale(table: Table) -> float:
    """The farthest from zero that any difference or its interval lies; at least 1, so that nothing looks large."""
    found = [1.0]
    for entry in (entry for figure in table.figures for entry in figure.entries):
        found += [abs(end) for end in (entry.difference_interval or ())] + [abs(entry.difference or 0.0)]
    return max(found)


def _drawn(entry: Entry, scale: float) -> dict[str, str] | None:
    """Where an interval's ends, its mean and zero lie, in pixels; None where there is no interval."""
    if entry.difference_interval is None or entry.difference is None:
        return None
    low, high = entry.difference_interval
    places = {"zero": 0.0, "low": low, "high": high, "mean": entry.difference}
    return {name: f"{WIDTH / 2 + value / scale * (WIDTH / 2 - EDGE):.1f}" for name, value in places.items()}
