"""How long work shows itself: a bar on a terminal, a line now and then in a log, and once how long it will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from vlzoo.processes import here
from vlzoo.screen import shortened, takes_escapes, width, window

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

try:
    import resource
except ImportError:  # no such module on Windows
    resource = None  # type: ignore[assignment]

EVERY_S = 15.0
"""Seconds between two lines of a log."""
FRAME_S = 0.2
"""Seconds between two pictures of a bar."""
FORECAST_S = 3.0
"""Seconds of work that a forecast is made from."""
LONG_S = 20.0
"""Work that will take less is not forecast."""
BAR = (10, 4)
"""Columns of the shortest bar, and of the shortest in a narrow window."""


class Progress:
    """Reports of one long work, on standard error.

    >>> progress = Progress("counting", 2, unit="sheep", brief=True)
    >>> progress.update(2, {"loss": 0.5})
    >>> progress.done, progress.left_s
    (2, 0.0)

    Close it at the end (`contextlib.closing`), also where the work fails.

    Args:
        what: what is running.
        total: units in all.
        done: units done before, in work that goes on.
        unit: what is counted: `steps`.
        silent: say nothing at all; of several processes that work together only the leading one speaks anyway.
        brief: in a log say nothing of work that is over before its first line is due.
        forecast: told once, after the first seconds, how long the rest takes, where that is long.
    """

    def __init__(
        self,
        what: str,
        total: int,
        *,
        done: int = 0,
        unit: str = "steps",
        silent: bool = False,
        brief: bool = False,
        forecast: Callable[[str], None] | None = None,
    ) -> None:
        self.what, self.total, self.unit, self.brief, self.forecast = what, total, unit, brief, forecast
        self.silent = silent or not here().leads
        self.started = self.shown = time.perf_counter()
        self.first = self.done = done
        self.begun: tuple[int, float] | None = None
        self._live, self._bar = takes_escapes(sys.stderr), cast("Bar | None", None)

    @property
    def speed(self) -> float:
        """Units a second since the first report, before which much may be made ready; until a second one, in all."""
        now, (done, since) = time.perf_counter(), self.begun or (self.first, self.started)
        if done == self.done:
            done, since = self.first, self.started
        return (self.done - done) / max(1e-9, now - since)

    @property
    def left_s(self) -> float:
        """Seconds that remain at this speed."""
        return (self.total - self.done) / self.speed if self.done > self.first else float("inf")

    def update(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Report that `done` units are done, and figures to show beside."""
        self.done = done
        now = time.perf_counter()
        if self.begun is None and done > self.first:
            self.begun = done, now
        self._foretell(now)
        if self.silent:
            return
        due, over = now - self.shown >= (FRAME_S if self._live else EVERY_S), done >= self.total
        if not due and not (over and (self._live or not self.brief)):
            return
        self.shown = now
        shown = [f"{name} {value:.3g}" for name, value in (values or {}).items()]
        counted = f"{done}/{self.total} {self.unit}, {self.speed:.1f}/s, {clock(self.left_s)} left"
        if not self._live:
            if sys.stderr is None:  # closed; `print` would take standard output
                return
            print(f"{self.what}: {counted}  {'  '.join(shown)}".rstrip(), flush=True, file=sys.stderr)
            return
        # Not before: there may be other work to show first, and two bars can't be drawn at once.
        self._bar = self._bar or _bar(self.total)
        room = self._bar.console.width = window(sys.stderr)
        what = shortened(self.what, max(8, (room - 20) // 2))
        text = self._fitting([counted, *shown], room - width(what) - 2)
        self._bar.update(self._bar.task_ids[0], completed=done, description=what, counted=text)
        self._bar.refresh()

    def _fitting(self, parts: list[str], room: int) -> str:
        """As many of the parts as fit, the first ones first; where not even one does, less is said of the work."""
        for count in range(len(parts), 0, -1):
            if width(text := "  ".join(parts[:count])) <= room - BAR[0]:
                return text
        left = clock(self.left_s)
        short = (f"{self.done}/{self.total} {self.unit}, {left} left", f"{self.done}/{self.total}, {left} left")
        return next((text for text in short if width(text) <= room - BAR[1]), f"{self.done / max(1, self.total):.0%}")

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.stop()

    def _foretell(self, now: float) -> None:
        done, since = self.begun or (self.done, now)
        if self.forecast is None or self.done == done or now - since < FORECAST_S:
            return
        if self.left_s >= LONG_S:
            most = most_memory()
            memory = f", {size_text(most)} held at most so far" if most else ""
            self.forecast(f"{self.what}: {self.done:,} of {self.total:,} done, about {clock(self.left_s)} left{memory}")
        self.forecast = None


def _bar(total: int) -> Bar:
    # Here: importing rich takes longer than `vlzoo list` may.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(None),
        TextColumn("{task.fields[counted]}", markup=False),
    )
    console = Console(stderr=True, width=window(sys.stderr))
    # Drawn by `update` alone: a drawing thread would be copied, half-way, into the data workers that are forked.
    bar = Bar(*columns, console=console, auto_refresh=False, redirect_stdout=False, expand=True)
    bar.add_task("", total=total, counted="")
    bar.start()
    return bar


def clock(seconds: float) -> str:
    """Seconds as people read them: `42 s`, `3:20 min`, `1:05 h`."""
    if seconds == float("inf"):
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def size_text(size: float) -> str:
    """Bytes as people read them: `12 MB`, `8.9 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def most_memory() -> int | None:
    """The most memory this process has held so far, in bytes; None where the system does not say."""
    if resource is None:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
