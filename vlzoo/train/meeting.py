"""How processes find each other, and how one says that another is gone."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta

import torch.distributed as dist

from vlzoo.errors import origin
from vlzoo.processes import Share

MEETING = timedelta(minutes=10)
"""How long processes look for each other."""
LONG = timedelta(days=30)
"""How long the others wait for the process that leads; who hangs, `vlzoo.runs.pulse` tells long before."""


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another process does not answer any more."""
    error = origin(error)
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    error = origin(error)
    return (str(error).splitlines() or [type(error).__name__])[0]


def meet(share: Share) -> dist.Store:
    """A place for the processes of this start alone, which the leading one names to each that asks.

    torch's own rendezvous looks where it looked before, and where those who are gone have left their addresses; how
    often torchrun has started them each machine counts by itself.

    Raises:
        torch.distributed.DistError: somebody did not come in time.
    """
    told = os.environ
    held = told.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    address, port = told["MASTER_ADDR"], int(told["MASTER_PORT"])
    store = dist.TCPStore(address, port, share.of, is_master=share.leads and not held, timeout=MEETING)
    if not share.leads:
        question = f"vlzoo/ask/{store.add('vlzoo/asked', 1)}"
        place = store.get(question).decode()
        store.set(f"{place}/{share.number}", "here")
        return dist.PrefixStore(place, store)
    place, answered, until = f"vlzoo/{uuid.uuid4().hex}", 0, time.monotonic() + MEETING.total_seconds()
    while missing := [rank for rank in range(1, share.of) if not store.check([f"{place}/{rank}"])]:
        asked = store.add("vlzoo/asked", 0)
        for number in range(answered + 1, asked + 1):
            store.compare_set(f"vlzoo/ask/{number}", "", place)  # those of earlier starts, too: nobody reads them
        answered = asked
        if time.monotonic() > until:
            raise dist.DistStoreError(f"process {missing[0]} did not come in {MEETING.total_seconds():.0f} s")
        time.sleep(0.05)
    return dist.PrefixStore(place, store)


def leave() -> None:
    """Leave the others, at the end of the process."""
    if dist.is_initialized():
        dist.destroy_process_group()
