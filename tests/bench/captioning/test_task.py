"""Captions written by a model of any family, and by a run: in order, by the task's options."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlzoo.bench.captioning.captioner import captioner
from vlzoo.bench.captioning.task import Captioning
from vlzoo.bench.model import BenchModel
from vlzoo.errors import CheckpointError
from vlzoo.task import Effort


class Teller(BenchModel):
    """Says what it is shown."""


@captioner.register
def _(model: Teller, task: Captioning):
    return lambda samples: [
        {"caption": f"{task.prompt}{sample.name}", "score": len(sample.texts)} for sample in samples
    ]


def test_any_family_may_write_and_is_not_shown_the_answer(sources):
    task = Captioning(prompt="picture ")
    rows = [
        row
        for rows in task.predict(Teller("teller", "none"), sources["retrieval"], frozenset(), Effort())
        for row in rows
    ]
    assert rows == [
        {"name": sample.name, "caption": f"picture {sample.name}", "score": 0} for sample in sources["retrieval"]
    ]


def test_a_model_that_writes_nothing_says_so(sources):
    with pytest.raises(CheckpointError, match="mute can't do captioning"):
        list(Captioning().predict(BenchModel("mute", "none"), sources["retrieval"], frozenset(), Effort()))


def test_lines_of_one_picture_are_one_caption(sources):
    class Twice:
        name = "twice"

        def __len__(self):
            return 2

        def __getitem__(self, row):
            sample = sources["retrieval"][0]
            return replace(sample, name=f"{sample.name}#{row}", texts=(sample.texts[row],))

        def fingerprint(self):
            return "x"

    (rows,) = Captioning().predict(Teller("teller", "none"), Twice(), frozenset(), Effort())
    assert [row["name"] for row in rows] == [f"{sources['retrieval'][0].name}#0"]
    scored = Captioning().score(Twice(), {row["name"]: row for row in rows})
    assert "1 pictures with 2 captions of people" in scored.notes[0]
