"""A table of figures as the pages show it: texts, and where drawn intervals lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlzoo.report.compare import Entry, Figure, Table
from vlzoo.report.published import Number, in_rows
from vlzoo.report.words import ends, heading, metric_name, notes_of, p_text, where_none
from vlzoo.runs.scores import Measurement

WIDTH, EDGE = 120, 6
"""Of a drawn interval in pixels, and what is left free at both sides."""
LEVEL = 160
"""Of a drawn share in pixels: 100 %."""


def tabled(table: Table, numbers: Sequence[Number], published: bool) -> dict[str, Any]:
    """A table as `results.html` shows it.

    Args:
        table: the table.
        numbers: published ones beside it.
        published: whether they were asked for: then a table without any says so.
    """
    name, _, about = heading(table).partition(": ")
    scale, several = _scale(table), len(table.runs) > 1
    return {
        "name": name,
        "about": about if several else f"{table.runs[0]}: {about}",
        "base": table.runs[0],
        "several": several,
        "drawn_width": WIDTH,
        "level_width": LEVEL,
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
        "samples": f"{entry.samples:,}",
        "level": _level(entry) if figure.unit == "%" else None,
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


def _level(entry: Entry) -> dict[str, str]:
    """Where a share and the ends of its interval lie, in pixels."""
    low, high = entry.interval or (None, None)
    places = {"value": entry.value, "low": low, "high": high}
    return {name: "" if value is None else level(value) for name, value in places.items()}


def level(percent: float) -> str:
    """A share as a length in pixels.

    >>> level(50.0)
    '80.0'
    """
    return f"{min(100.0, max(0.0, percent)) / 100 * LEVEL:.1f}"


def breakdown(table: Table, measured: Mapping[str, Measurement]) -> list[dict[str, Any]]:
    """The groups of a table's samples, kind by kind: each group with the figure of every run.

    A group's kind stands before a colon in its name, as a task gives it: `question type: how many`.

    Args:
        table: the table.
        measured: each run's measurement, by the run's name.
    """
    kinds: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for figure in table.figures:
        for run, each in measured.items():
            same = (s.groups for s in each.scores if (s.protocol, s.metric) == (figure.protocol, figure.metric))
            for name, value in next(same, {}).items():
                kind, _, group = name.partition(": ") if ": " in name else ("", "", name)
                kinds.setdefault((metric_name(table, figure), kind), {}).setdefault(group, {})[run] = value
    return [_kind(table, metric, kind, groups) for (metric, kind), groups in kinds.items()]


def _kind(table: Table, metric: str, kind: str, groups: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    rows = [
        {
            "group": group,
            "values": [
                {"run": run, "value": f"{values[run]:.2f}", "level": level(values[run])}
                for run in table.runs
                if run in values
            ],
        }
        for group, values in groups.items()
    ]
    return {"name": f"{metric} by {kind}" if kind else f"beside {metric}", "rows": rows, "level_width": LEVEL}
