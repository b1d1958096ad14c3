"""Word maps of a report: which model is loaded when, and what is said where none can be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vlzoo.cli import report as command
from vlzoo.data.records import Sample, Told
from vlzoo.explain.explain import Explained
from vlzoo.explain.words import Word
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


def explained(count):
    """What an explainer gives of a caption: [CLS], then so many words, each with a map of its own strength."""
    names = ["[CLS]", *(f"w{number}" for number in range(1, count + 1))]
    words = [Word(name, (row,), (name,)) for row, name in enumerate(names)]
    maps = np.arange(count + 1, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    return Explained(np.zeros((32, 32, 3), np.uint8), words, maps, 0.5, 0.6, 0, 2)


@pytest.mark.parametrize(("count", "shown", "left"), [(3, 3, ""), (11, 10, "1 more word"), (12, 10, "2 more words")])
def test_ten_words_are_drawn_and_the_start_token_is_none_of_them(count, shown, left):
    found = examples("a").groups[RIGHT][0]
    made = command._drawn(SimpleNamespace(explain=lambda *_: explained(count)), "a", found)
    assert [word for word, _, _ in made.words] == [f"w{number}" for number in range(1, shown + 1)]
    assert [greatest for _, _, greatest in made.words] == [f"{number:.1e}" for number in range(1, shown + 1)]
    assert made.told.endswith(left) and ("more word" in made.told) == bool(left)


@pytest.mark.parametrize("error", [KeyError("head"), RuntimeError("out of memory")])
def test_whatever_keeps_a_model_from_being_loaded_is_said_once_for_each_task(monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("vlzoo.bench.engine.load_run", fails)
    made = report(examples("a"), examples("a", name="2"))
    command.add_maps(made)
    said = f"a: {type(error).__name__}: {error}"
    assert made.no_maps == {0: [said], 1: [said]} and made.maps == {}
