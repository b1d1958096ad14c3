"""How a long run shows itself: where it is, how fast, how long it will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping


class Progress:
    """One line a report: rewritten on a terminal, one after the other in a log.

    Args:
        what: what is running.
        total: units in all.
        done: units done before, in a resumed run.
        unit: what is counted: `steps`.
        every_s: seconds between lines where there is no terminal.
    """

    def __init__(self, what: str, total: int, *, done: int = 0, unit: str = "steps", every_s: float = 15.0) -> None:
        self.what, self.total, self.unit, self.every_s = what, total, unit, every_s
        self.started = self.shown = time.perf_counter()
        self.first = self.done = done
        self.live = sys.stderr.isatty()
        self._wide = 0

    @property
    def speed(self) -> float:
        """Units a second since the start."""
        return (self.done - self.first) / max(1e-9, time.perf_counter() - self.started)

    @property
    def left_s(self) -> float:
        """Seconds that remain at this speed."""
        return (self.total - self.done) / self.speed if self.done > self.first else float("inf")

    def update(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Report that `done` units are done."""
        self.done = done
        now = time.perf_counter()
        if now - self.shown < (0.2 if self.live else self.every_s) and done < self.total:
            return
        self.shown = now
        shown = "  ".join(f"{name} {value:.3g}" for name, value in (values or {}).items())
        self._write(
            f"{self.what}: {done}/{self.total} {self.unit}, {self.speed:.1f}/s, {clock(self.left_s)} left  {shown}"
        )

    def close(self) -> None:
        """End the line."""
        if self.live:
            print(file=sys.stderr)

    def _write(self, line: str) -> None:
        if self.live:
            print("\r" + line.ljust(self._wide), end="", flush=True, file=sys.stderr)
            self._wide = len(line)
        else:
            print(line.rstrip(), flush=True, file=sys.stderr)


def clock(seconds: float) -> str:
    """Seconds as people read them: `42 s`, `3:20 min`, `1:05 h`."""
    if seconds == float("inf"):
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"
