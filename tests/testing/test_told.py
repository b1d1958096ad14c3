"""The check of what a task tells people refuses a task that breaks it."""

from __future__ import annotations

import pytest
import torch

from vlzoo import Task
from vlzoo.data.records import Told
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.task import in_order
from vlzoo.testing.task import tells_people_what_it_predicted


class Near(Task):
    """How many captions lie near."""

    name = "near"
    protocols = ("cosine",)
    finetuned = False

    def predict(self, model, source, done, effort):
        for samples, batch in model.batches(source, effort.batch, done):
            with torch.no_grad():
                step = model.step(batch)
                near = (step.image_embed() * step.text_embed()).sum(1)
            yield [{"name": s.name, "cosine": value} for s, value in zip(samples, near.tolist(), strict=True)]

    def score(self, samples, rows):
        near = [row["cosine"] >= 0 for _, row in in_order(samples, rows)]
        return Scored((Figures(self.name, "near/cosine").hits("near", near),))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("near", "tells a str, no Told"),
        (Told("", 0.5), "tells what is no text"),
        (Told("", "near", right=101.0), "says that a prediction is 101.0 % right"),
    ],
)
def test_what_is_no_text_or_no_share_is_refused(refused, told, said):
    broken = type("Broken", (Near,), {"__doc__": "Breaks it.", "told": lambda self, *_: lambda sample: told})
    assert said in refused(tells_people_what_it_predicted, "task", broken)
