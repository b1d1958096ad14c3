"""Learning curves as drawn lines: what a run logged, over its steps; several runs over each other."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeGuard

from matplotlib.ticker import MaxNLocator

from vlzoo.runs.selection import FOUND

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 22
"""A drawing's size and margins, in its own units: pixels where it is as wide as that."""
BUCKETS = 150
"""A longer line is drawn by the least and the greatest value of so many stretches: a jump stays one."""
BANDS = 40
"""Stretches of a drawing that tell their values when pointed at."""
FEW = 24
"""A line of at most so many points shows each of them."""

ABOUT = ("step", "samples", "time")
"""What a row of the log says of itself."""
LOSSES, VALIDATION, RATE, OTHERS, COST = "loss", "validation", "learning rate", "other figures", "speed and memory"
OPEN = (LOSSES, VALIDATION, RATE)
"""Kinds of figures that are shown at once; the others fold."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Logged:
    """What a run logged.

    Attributes:
        name: of the run.
        number: its place among the runs of the page, which gives its colour.
        rows: of the log.
        losses: names of the losses among the figures, without that of a stream.
        nth: its place among that run's logs on one drawing.
    """

    name: str
    number: int
    rows: Sequence[Mapping[str, Any]]
    losses: Sequence[str]
    nth: int = 0


def style_of(number: int, nth: int = 0) -> str:
    """How the run of a number is drawn, everywhere on a page: six colours, and lines of four kinds.

    >>> style_of(1), style_of(1, nth=1)
    ('run-1 dash-1', 'run-1 dash-2')

    Args:
        number: the run's place on the page.
        nth: of several lines of that run on one drawing.
    """
    return f"run-{number % 6} dash-{(number + nth) % 4}"


def losses_of(recipe: Mapping[str, Any]) -> list[str]:
    """The names that a run's losses are logged under, from its recipe as plain data; no plugin of it is asked for.

    >>> losses_of({"objectives": {"itc": {"queue": 24}, "mlm": False}})
    ['itc']
    """
    held = recipe.get("objectives")
    return [name for name, value in held.items() if value not in (False, None)] if isinstance(held, Mapping) else []


def kind_of(figure: str, losses: Collection[str]) -> str:
    """The kind of a logged figure, which its drawing stands among.

    >>> kind_of("itc", ["itc"]), kind_of("pairs/itc", ["itc"]), kind_of("validation/itc", ["itc"])
    ('loss', 'loss', 'validation')

    Args:
        figure: as the log calls it; of several streams with the stream's name before it.
        losses: the names of the run's losses.
    """
    if figure.startswith(FOUND):
        return VALIDATION
    if figure.rpartition("/")[2] in losses:
        return LOSSES
    if figure == "lr":
        return RATE
    return COST if figure == "samples_per_s" or "memory" in figure else OTHERS


def curves(logs: Sequence[Logged]) -> list[dict[str, Any]]:
    """Groups of panels, each panel a figure of all runs that logged it, over the steps.

    Args:
        logs: of runs that belong over each other.
    """
    groups: dict[str, dict[str, list[tuple[Logged, list[Point]]]]] = {
        name: {} for name in (LOSSES, VALIDATION, RATE, OTHERS, COST)
    }
    for log in logs:
        for figure, points in lines_of(log.rows).items():
            groups[kind_of(figure, log.losses)].setdefault(figure, []).append((log, points))
    last = max((points[-1][0] for each in groups.values() for lines in each.values() for _, points in lines), default=1)
    return [
        {"name": name, "open": name in OPEN, "panels": [_panel(f, name, lines, last) for f, lines in each.items()]}
        for name, each in groups.items()
        if each
    ]


def lines_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Point]]:
    """Each figure's points, steps rising; what is no finite number is left out.

    >>> lines_of([{"step": 20, "itc": 4.5, "time": 1.7e9}, {"step": 40, "itc": 4.0}])
    {'itc': [(20.0, 4.5), (40.0, 4.0)]}
    """
    found: dict[str, list[Point]] = {}
    for row in rows:
        step = row.get("step")
        if not _is_number(step):
            continue
        for name, value in row.items():
            if name not in ABOUT and _is_number(value):
                found.setdefault(name, []).append((float(step), float(value)))
    return {name: sorted(points) for name, points in found.items()}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _panel(figure: str, kind: str, lines: Sequence[tuple[Logged, list[Point]]], last: float) -> dict[str, Any]:
    """A drawing: paths in its units, ticks with their texts, what stretches of it tell, and where it lies; up to the
    `last` step."""
    across = _Scale.of([0.0, last], LEFT, WIDTH - RIGHT, whole=True)
    up = _Scale.of([y for _, points in lines for _, y in points], HEIGHT - BOTTOM, TOP)
    return {
        "name": "" if kind == RATE else figure.removeprefix(FOUND),
        "kind": kind,
        "lines": [_line(log, points, across, up) for log, points in lines],
        "x": [(f"{across(tick):.1f}", _step_text(tick)) for tick in across.ticks],
        "y": [(f"{up(tick):.1f}", f"{tick:.6g}") for tick in up.ticks],
        "bands": list(_bands(lines, across)),
        "told": f"{figure.removeprefix(FOUND)} over {last:,.0f} steps",
        "size": (WIDTH, HEIGHT),
        "within": {"left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM},
    }


def _line(log: Logged, points: Sequence[Point], across: _Scale, up: _Scale) -> dict[str, Any]:
    places = [f"{across(x):.1f} {up(y):.1f}" for x, y in thinned(points)]
    return {
        "run": log.name,
        "style": style_of(log.number, log.nth),
        "path": f"M{'L'.join(places)}",
        "dots": [place.split() for place in places] if len(points) <= FEW else [],
        "last": number_text(points[-1][1]),
    }


def thinned(points: Sequence[Point], buckets: int = BUCKETS) -> list[Point]:
    """A line by the least and the greatest point of each stretch, in order; a short one as it is.

    >>> thinned([(0, 1.0), (1, 9.0), (2, 0.0), (3, 2.0), (4, 2.0), (5, 3.0)], buckets=1)
    [(0, 1.0), (1, 9.0), (2, 0.0), (5, 3.0)]
    """
    if len(points) <= 2 * buckets:
        return list(points)
    kept = {points[0], points[-1]}
    for bucket in range(buckets):
        part = points[bucket * len(points) // buckets : (bucket + 1) * len(points) // buckets]
        kept |= {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
    return sorted(kept)


def _bands(lines: Sequence[tuple[Logged, list[Point]]], across: _Scale) -> Iterator[dict[str, str]]:
    """Stretches side by side, each telling every run's value at the step nearest its middle."""
    steps = sorted({x for _, points in lines for x, _ in points})
    if len(steps) > BANDS:
        steps = [steps[round(at * (len(steps) - 1) / (BANDS - 1))] for at in range(BANDS)]
    edges = [across(a) / 2 + across(b) / 2 for a, b in pairwise(steps)]
    for step, left, right in zip(steps, [LEFT, *edges], [*edges, WIDTH - RIGHT], strict=True):
        told = [f"{log.name}: {number_text(_nearest(points, step)[1])}" for log, points in lines]
        width = max(0.0, right - left)
        yield {"x": f"{left:.1f}", "width": f"{width:.1f}", "told": "\n".join([f"step {step:,.0f}", *told])}


def _nearest(points: Sequence[Point], step: float) -> Point:
    return min(points, key=lambda point: abs(point[0] - step))


def number_text(value: float) -> str:
    """A figure with four digits.

    >>> number_text(3.48171), number_text(0.0009998), number_text(12_345.6)
    ('3.482', '0.0009998', '1.235e+04')
    """
    return f"{value:.4g}"


def _step_text(step: float) -> str:
    """A step as a tick says it.

    >>> _step_text(500), _step_text(20_000), _step_text(1_500_000)
    ('500', '20k', '1.5M')
    """
    if step >= 1_000_000:
        return f"{step / 1_000_000:g}M"
    return f"{step / 1000:g}k" if step >= 10_000 else f"{step:g}"


@dataclass(frozen=True)
class _Scale:
    """Values to places along an axis.

    Attributes:
        low: the least value.
        high: the greatest.
        start: where the least lies.
        end: where the greatest lies.
        ticks: round values between them.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float, *, whole: bool = False) -> _Scale:
        """One that holds all values; of the values themselves, or from tick to tick."""
        low, high = min(values), max(values)
        if low == high:
            low, high = low - (abs(low) * 0.1 or 1.0), high + (abs(high) * 0.1 or 1.0)
        ticks = [float(tick) for tick in MaxNLocator(nbins=4, integer=whole).tick_values(low, high)]
        if whole:
            return cls(low, high, start, end, tuple(tick for tick in ticks if low <= tick <= high))
        return cls(min(ticks), max(ticks), start, end, tuple(ticks))

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
