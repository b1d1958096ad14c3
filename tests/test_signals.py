"""Requests to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from vlzoo import signals
from vlzoo.signals import STOPS, answered, interrupt


def test_each_request_is_answered_once_and_handlers_are_put_back():
    before = {number: signal.getsignal(number) for number in STOPS}
    assert [number.name for number in STOPS] == ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"]
    for number in STOPS:
        seen: list[str] = []
        with answered(seen.append):
            signal.raise_signal(number)
            signal.raise_signal(number)  # as `timeout` sends it: to the process, then to its group
        assert seen == [number.name]
    assert {number: signal.getsignal(number) for number in STOPS} == before


def test_a_request_after_a_while_is_another(monkeypatch):
    now = [5.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    seen: list[str] = []
    with answered(seen.append):
        for moment in (5.0, 5.9, 6.1, 6.5):
            now[0] = moment
            signal.raise_signal(signal.SIGINT)
    assert seen == ["SIGINT", "SIGINT"]  # of 5.0 and 6.1


def test_the_echo_of_an_inner_request_is_none_to_the_outer():
    seen: list[str] = []
    with answered(seen.append):
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"), answered(interrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert seen == []


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        seen: list[str] = []
        with answered(seen.append):
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        assert seen == ["SIGTERM"]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_changed():
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def look() -> None:
        with answered(print):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


def test_what_starts_while_requests_are_held_back_waits_with_them():
    code = "import os, signal, sys; from vlzoo.signals import ignore_stops\n"
    code += "os.kill(os.getpid(), signal.SIGTERM); ignore_stops(); os.kill(os.getpid(), signal.SIGINT); print('lives')"
    with signals.held_back():
        made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert made.stdout == "lives\n", made.stderr
