"""A follower reads a run and writes nothing: held against everything that a run can write."""

from __future__ import annotations

import inspect
import re

from vlzoo.runs.follower import Follower
from vlzoo.runs.run import Run

WRITES = re.compile(r"_keep\(|write_text|rmtree|\.append\(|\.rewind\(|\.save\(self|door\(\)|unlink")
LEFT = {"describe", "keep_card", "save"}
"""Called by the process that leads alone: by `start_run`, by the conversion of weights, by `Trainer.save`."""


def test_whatever_writes_does_nothing(tmp_path):
    writing = {
        name for name, method in inspect.getmembers(Run, inspect.isfunction) if WRITES.search(inspect.getsource(method))
    }
    assert {"log", "note", "clear", "watch"} <= writing
    assert writing - LEFT <= set(vars(Follower))
    run = Follower(tmp_path)
    run.log({"step": 1})
    run.note(steps=3)
    run.keep_task({"answers": []})
    run.keep_start({})
    run.rewind(0)
    run.watch("step", {})
    run.clear()
    run.remove()
    assert tmp_path.is_dir() and not list(tmp_path.iterdir())
