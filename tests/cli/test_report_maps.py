"""Word maps of a report: which model is loaded when, and what is said where none can be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from vlzoo.cli import report as command
from vlzoo.data.records import Sample, Told
from vlzoo.report.compare import Comparison
from vlzoo.report.examples import RIGHT, Example, Examples
from vlzoo.report.report import Report
from vlzoo.runs.run import Run
from vlzoo.runs.scores import Measurement


def examples(*runs, name="1", **about):
    """One example that all runs answered, each with a checkpoint of its own."""
    measured = {
        run: Measurement(Run(Path(run)), Path(run, "score-itm.json"), {"weights": run, "checkpoint": 4, **about}, ())
        for run in runs
    }
    sample = Sample(name, images=(SimpleNamespace(name="x.png"),))
    example = Example(sample, {run: Told("?", "a cat", caption="a cat") for run in runs})
    return Examples(SimpleNamespace(task="retrieval"), measured, {RIGHT: [example]})


def report(*found):
    return Report((), Comparison((), (), ()), found)


@pytest.mark.parametrize("error", [KeyError("head"), RuntimeError("out of memory")])
def test_whatever_keeps_a_model_from_being_loaded_is_said_once_for_each_task(monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("vlzoo.bench.engine.load_run", fails)
    made = report(examples("a"), examples("a", name="2"))
    command.add_maps(made)
    said = f"a: {type(error).__name__}: {error}"
    assert made.no_maps == {0: [said], 1: [said]} and made.maps == {}
