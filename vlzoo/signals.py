"""Signals that ask a process to end: Ctrl-C, what `timeout` and schedulers send, a terminal that is closed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STOPS = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if name in signal.Signals.__members__
)
"""What asks for an end; a system may lack some of them."""

ECHO_S = 1.0
"""`timeout` sends its signal to the process and then to its whole group: within so many seconds it is one request."""


class Answer:
    """A signal handler that answers a request once.

    Args:
        answer: told the signal's name.
    """

    def __init__(self, answer: Callable[[str], None]) -> None:
        self.answer = answer
        self.last = -ECHO_S

    def __call__(self, number: int, _frame: Any) -> None:
        """As Python calls handlers."""
        now = time.monotonic()
        if now - self.last >= ECHO_S:
            self.last = now
            self.answer(signal.Signals(number).name)


@contextmanager
def answered(answer: Callable[[str], None]) -> Iterator[None]:
    """Within it, a request to end calls `answer` with the signal's name.

    A hang-up that the caller ignores (`nohup`) stays ignored. In another thread than the main one nothing is changed:
    Python lets only that one decide.

    >>> with answered(print):
    ...     signal.raise_signal(signal.SIGTERM)
    SIGTERM
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler, before = Answer(answer), {number: signal.getsignal(number) for number in STOPS}
    ignored = [number for number in STOPS if number.name == "SIGHUP" and before[number] is signal.SIG_IGN]
    for number in set(STOPS) - set(ignored):
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            if isinstance(old, Answer):
                old.last = max(old.last, handler.last)  # the second half of one request may come now
            signal.signal(number, signal.SIG_DFL if old is None else old)


def interrupt(name: str) -> None:
    """End as Ctrl-C does, with everything that is open closed.

    Raises:
        KeyboardInterrupt: always; holds the signal's name.
    """
    raise KeyboardInterrupt(name)


@contextmanager
def held_back() -> Iterator[None]:
    """Within it, requests to end wait; a process that is started within has them wait until it calls `ignore_stops`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stops() -> None:
    """Make this process ignore all requests to end: its parent answers them for both, or it ends already."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
