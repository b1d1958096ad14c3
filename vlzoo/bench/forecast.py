"""How long a bench will take and how much it holds, said from its first batches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from vlzoo.train.progress import clock

try:
    import resource
except ImportError:  # no such module on Windows
    resource = None  # type: ignore[assignment]

FIRST_S = 3.0
"""Seconds of work that a forecast is made from."""
LONG_S = 20.0
"""Work shorter than this is not announced."""


def size_text(size: float) -> str:
    """Bytes as people read them: `12 MB`, `8.9 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def most_memory() -> int | None:
    """The most memory this process has held so far, in bytes; None where the system does not say."""
    if resource is None:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


class Forecast:
    """Says once, after the first seconds, how long the rest takes.

    Args:
        what: what is running.
        total: units in all.
        say: told the forecast.
        done: units done before.
    """

    def __init__(self, what: str, total: int, say: Callable[[str], None], *, done: int = 0) -> None:
        self.what, self.total, self.say, self.first = what, total, say, done
        self.started = time.perf_counter()
        self.told = False

    def update(self, done: int) -> None:
        """Report that `done` units are done."""
        taken = time.perf_counter() - self.started
        if self.told or done <= self.first or taken < FIRST_S:
            return
        self.told = True
        left = (self.total - done) * taken / (done - self.first)
        if left >= LONG_S:
            most = most_memory()
            memory = f", {size_text(most)} held at most so far" if most else ""
            self.say(f"{self.what}: {done:,} of {self.total:,} done, about {clock(left)} left{memory}")
