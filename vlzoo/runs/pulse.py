"""Signs of life of the processes that train or measure a run together, so that one that is gone or hangs can be named.

Each writes every second what it does into a file of its own; a thread of each reads what the others wrote.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType

from vlzoo.processes import Share, is_alive

BEAT_S = 1.0
"""Seconds between two signs of life."""
FOUND_S = 5.0
"""How long who is gone is looked for: its end may be seen before it is written down."""


@dataclass(frozen=True)
class Sign:
    """What a process last wrote.

    Attributes:
        rank: its number.
        host: where it runs.
        pid: its process there.
        doing: `step`, `reading data`, `saving`, `measuring`, `waiting`, or `ended`.
        step: the step it makes.
        since: when it began what it does, in seconds since 1970.
        beat: when it wrote this.
        why: of one that ended: by what error; empty: as it should.
    """

    rank: int
    host: str
    pid: int
    doing: str
    step: int
    since: float
    beat: float
    why: str = ""

    def __str__(self) -> str:
        at = f", at step {self.step}" if self.step else ""
        return f"process {self.rank} (pid {self.pid} on {self.host}{at})"


class Pulse:
    """The signs of life of this process, and a look at the others'.

    >>> with Pulse(Path("runs/a/processes"), Share(0, 1), patience=600) as pulse:
    ...     pulse.does("reading data", step=3)
    ...     pulse.others()
    []

    Args:
        folder: where they are written, one file a process.
        share: this process among them.
        patience: seconds that another may be busy with one thing, or silent, before this process ends.
        fix: what a user is to do where this process ends.
        end: ends this process; told why.
    """

    def __init__(
        self,
        folder: Path,
        share: Share,
        *,
        patience: float,
        fix: str = "go on with --resume",
        end: Callable[[str], None] | None = None,
    ) -> None:
        self.folder, self.share, self.patience = folder, share, patience
        self.end = end or partial(_end, fix=fix)
        now = time.time()
        self.sign = Sign(share.number, socket.gethostname(), os.getpid(), "waiting", 0, now, now)
        self._over, self._thread = threading.Event(), threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Pulse:
        if self.share.of > 1:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write()
            self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._over.set()
        if self.share.of > 1:
            self.sign = replace(self.sign, doing="ended", since=time.time(), why=_why(error))
            self._thread.join()
            self._write()

    def does(self, what: str, step: int) -> None:
        """Say what this process begins to do."""
        self.sign = replace(self.sign, doing=what, step=step, since=time.time())

    def others(self) -> list[Sign]:
        """What the others last wrote."""
        return [found for rank in range(self.share.of) if rank != self.share.number and (found := self._read(rank))]

    def gone(self) -> str:
        """Who is gone, looked for over some seconds; empty where nobody is found."""
        until = time.time() + FOUND_S
        while time.time() < until:
            if said := self._lost():
                return said
            time.sleep(BEAT_S / 4)
        return ""

    def failed(self) -> str:
        """Who is gone by what nobody asked for: killed, or by an error of its own; empty where nobody is."""
        asked = KeyboardInterrupt.__name__
        return self._lost(lambda each: each.doing == "ended" and (not each.why or each.why.startswith(asked)))

    def told(self, error: BaseException | None = None) -> bool:
        """Whether the process that leads has ended by an error, or will within seconds: then it tells what is wrong.

        Args:
            error: this process's own, which the other must have, too; None: any.
        """
        until = time.time() + FOUND_S
        while not any(each.why == _why(error) if error else each.why for each in self.others() if each.rank == 0):
            if time.time() > until:
                return False
            time.sleep(BEAT_S / 10)
        return True

    def _lost(self, spared: Callable[[Sign], bool] = lambda _: False) -> str:
        gone = [each for each in self.others() if (each.doing == "ended" and each.why) or not _is_alive(each)]
        lost = [each for each in gone if not spared(each)]
        return "; ".join(f"{each} is gone{f': {each.why}' * bool(each.why)}" for each in lost)

    def hung(self) -> str:
        """Who keeps the others waiting for longer than patience allows; empty where nobody does."""
        now, said = time.time(), []
        for each in self.others():
            if each.doing == "ended":
                continue
            if now - each.beat > self.patience:
                said.append(f"{each} has given no sign of life for {now - each.beat:.0f} s")
            elif self._waits_for(each, now):
                said.append(f"{each} has been {each.doing} for {now - each.since:.0f} s")
        return "; ".join(said) or self._stuck(now)

    def _stuck(self, now: float) -> str:
        """That all have been in one step for too long: an exchange that will not end."""
        signs = [self.sign, *self.others()]
        least = min(now - each.since for each in signs)
        alike = len(signs) == self.share.of > 1 and {(each.doing, each.step) for each in signs} == {
            ("step", self.sign.step)
        }
        return f"all processes have been in step {self.sign.step} for {least:.0f} s" * (alike and least > self.patience)

    def _waits_for(self, other: Sign, now: float) -> bool:
        """Whether this process makes a step, and another is busy with something else for too long."""
        mine = self.sign
        both = min(now - mine.since, now - other.since) > self.patience
        return both and mine.doing == "step" and other.doing not in ("step", "waiting", "measuring")

    def _beat(self) -> None:
        lost_since = float("inf")
        while not self._over.wait(BEAT_S):
            self.sign = replace(self.sign, beat=time.time())
            self._write()
            # An exchange with who is gone fails at once on the host, and may never end on a device.
            lost = self._lost()
            lost_since = min(lost_since, time.time()) if lost else float("inf")
            if said := self.hung() or lost * (time.time() - lost_since > 2 * FOUND_S):
                self.end(said)
                return

    def _write(self) -> None:
        file, text = self._file(self.share.number), json.dumps(asdict(replace(self.sign, beat=time.time())))
        # Where the folder is gone the run was taken back, and nothing of it is to be left: it is not made again. A full
        # disk stops no training; the others' patience decides.
        with suppress(OSError):
            fresh = file.with_suffix(".tmp")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(file)

    def _read(self, rank: int) -> Sign | None:
        try:
            return Sign(**json.loads(self._file(rank).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _file(self, rank: int) -> Path:
        return self.folder / f"{rank}.json"


def _why(error: BaseException | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def _is_alive(sign: Sign) -> bool:
    """Whether its process is there; one of another machine is while it gives signs of life."""
    if sign.host != socket.gethostname():
        return time.time() - sign.beat < 3 * BEAT_S
    return is_alive(sign.pid)


def _end(why: str, fix: str) -> None:
    """End this process at once: its other threads may wait for ever."""
    print(f"vlzoo: {why}: this process ends too\n  -> {fix}", file=sys.stderr, flush=True)
    os._exit(1)
