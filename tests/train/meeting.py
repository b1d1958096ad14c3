"""In each process that torchrun starts: meet where earlier ones have left questions, and compare steps."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
import torch.distributed as dist

from vlzoo.errors import TrainingError
from vlzoo.processes import here
from vlzoo.train.engines import make_engine
from vlzoo.train.spikes import Spikes

if __name__ == "__main__":
    store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), timeout=timedelta(seconds=60))
    if here().leads:  # what an earlier start, whose processes are gone, has left behind
        store.add("vlzoo/asked", 3)
        store.set("vlzoo/ask/1", "vlzoo/gone")
        store.set("left", "")
    store.wait(["left"])  # those were gone before any of this start asked
    engine = make_engine(None)
    engine.agree_on_step(7)
    said = ""
    try:
        engine.agree_on_step(7 + here().number)
    except TrainingError as error:
        said = str(error)
    assert "process 0 at 7, process 1 at 8" in said, said
    assert engine.agree("SIGTERM" if not here().leads else "") == "SIGTERM"
    # Who has read less of the log takes nothing for a spike; all come back, and the leader names everybody's samples.
    spikes = Spikes(6.0)
    spikes.recall({"itm": 1.0 + (step % 7) / 100} for step in range(30 if here().leads else 0))
    spikes.note(41, {"itm": torch.tensor(9.0)}, [f"of {here().number}"])
    found = spikes.look(engine.mean, engine.join)
    assert [row["samples"] for row in found] == ([["of 0", "of 1"]] if here().leads else []), found
    print(f"met {here().number}", flush=True)
