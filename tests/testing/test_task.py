"""Each check of tasks refuses a task that breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlzoo import Fields, Task
from vlzoo.data.records import Told
from vlzoo.door.parts import Owner, Part
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.task import in_order
from vlzoo.testing import (
    check_task,
    task,
)
from vlzoo.testing.case import Case, ContractError, is_described
from vlzoo.testing.imports import does_no_work_at_import


class Other:
    """No part of any kind."""


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


def breaks(doc="Breaks one promise.", **methods):
    return type("Broken", (Near,), {"__doc__": doc, **methods})


def keeps_torch(self, **options):
    Task.__init__(self, **options)


def in_any_order(self, samples, rows):
    return Scored((Figures(self.name, "near/cosine").hits("near", [True] * len(rows)),))


def last_first(self, samples, rows):
    in_order(samples, rows)
    first = next(iter(rows.values()))["cosine"]
    return Scored((Figures(self.name, "near/cosine").mean("first", [first] * 2),))


def twice(self, *given):
    for rows in Near.predict(self, *given):
        yield [*rows, *rows]


def tensors(self, *given):
    for rows in Near.predict(self, *given):
        yield [{**row, "cosine": torch.tensor(row["cosine"])} for row in rows]


def some(self, *given):
    for rows in Near.predict(self, *given):
        yield rows[1:]


def nowhere(self, samples, rows):
    in_order(samples, rows)
    return Scored((Figures(self.name, "elsewhere/cosine").mean("near", [1.0, 2.0]),))


def always_right(self, samples, rows):
    in_order(samples, rows)
    return Scored((Figures(self.name, "near/cosine").hits("near", [True] * len(rows)),))


def unmasked(self, samples, tokenizer):
    text = tokenizer([sample.texts[0] for sample in samples])
    return Fields(texts={"said": replace(text, mask=text.mask[:, :-1])})


def anew(self, model, source, done, effort):
    yield from Near.predict(self, model, source, frozenset(), effort)


def two_figures(self, samples, rows):
    """One of them above 0, whatever was predicted, and not the first."""
    near = [row["cosine"] >= 0 for _, row in in_order(samples, rows)]
    figures = Figures(self.name, "near/cosine")
    return Scored((figures.hits("near", near), figures.hits("far", [not each for each in near])))


def below_zero(self, samples, rows):
    near = [row["cosine"] >= 0 for _, row in in_order(samples, rows)]
    figures = Figures(self.name, "near/cosine")
    return Scored((figures.hits("near", near), figures.mean("loss", [-1.0] * len(near))))


def no_figure_of_blanks(self, samples, rows):
    scored = Near.score(self, samples, rows)
    return Scored(()) if all(row["cosine"] == -1 for row in rows.values()) else scored


def blank(self, sample):
    return {"cosine": -1.0}


def blank_of_some(self, sample):
    return None if sample.name == "sample-1" else {"cosine": -1.0}


TASK = [
    (is_described, breaks(None), "has no docstring"),
    (task.is_a_task, Other, "which is no Task"),
    (task.is_a_task, breaks(kept=lambda self: {"device": torch.device("cpu")}), "keeps options that are no JSON"),
    (task.is_a_task, breaks(protocols=("cosine", "cosine")), "has the protocols ('cosine', 'cosine')"),
    (task.learns_and_remembers, breaks(state=lambda self: {"answers": {1, 2}}), "can't keep what it learned"),
    (
        task.adds_fields_that_fit,
        breaks(fields=lambda self, samples, tokenizer: Fields(labels=torch.zeros(3))),
        "adds tensors",
    ),
    (task.adds_fields_that_fit, breaks(fields=unmasked), "adds the text 'said' with ids ["),
    (task.predicts_every_sample, breaks(predict=twice), "predicts 'sample-0' twice"),
    (task.predicts_every_sample, breaks(predict=anew), "predicts samples that are done"),
    (task.predicts_every_sample, breaks(predict=tensors), "predicts what is no JSON"),
    (task.predicts_every_sample, breaks(predict=some), "predicts other samples, or another order"),
    (task.scores_what_it_predicted, breaks(score=nowhere), "scores 'near' by 'elsewhere/cosine'"),
    (task.scores_what_it_predicted, breaks(score=last_first), "gives other figures in another order"),
    (task.refuses_a_missing_prediction, breaks(score=in_any_order), "scores though a prediction is missing"),
    (task.counts_a_blank_as_wrong, breaks(score=always_right, blank=blank), "gives near 100.0 for blanks alone"),
    (task.counts_a_blank_as_wrong, breaks(score=two_figures, blank=blank), "gives far 100.0 for blanks alone"),
    (task.counts_a_blank_as_wrong, breaks(score=below_zero, blank=blank), "gives loss -1.0 for blanks alone"),
    (task.counts_a_blank_as_wrong, breaks(score=no_figure_of_blanks, blank=blank), "gives no figure for blanks alone"),
    (
        task.counts_a_blank_as_wrong,
        breaks(blank=blank_of_some),
        "gives a blank of some samples, and none of ['sample-1']",
    ),
]


@pytest.mark.parametrize(("check", "part", "said"), TASK)
def test_a_broken_task_is_refused(refused, check, part, said):
    assert said in refused(check, "task", part)


def test_a_good_task_passes():
    check_task(Near)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", None),
        ("import torch", "imports torch while it is built\n  -> import torch in `predict`"),
        ("raise SystemExit(3)", "can't be built in a process of its own (exit code 3)"),
    ],
)
def test_a_task_that_is_built_with_torch_is_refused(tmp_path, monkeypatch, text, said):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(task, "hooks_of", lambda case: "watched_task")
    (tmp_path / "watched_task.py").write_text(f"def make(bound: float = 0.5):\n    {text or 'return bound'}\n")
    part = Part("task", "mine", "watched_task:make", "", Owner("watched", "1", ""))
    case = Case("task", part, None, {"bound": 0.1})
    if said is None:
        task.is_built_without_torch(case)
        return
    with pytest.raises(ContractError) as error:
        task.is_built_without_torch(case)
    assert said in str(error.value)


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
    assert said in refused(task.tells_people_what_it_predicted, "task", broken)


def test_every_check_is_shown_to_fail():
    tried = {check for check, *_ in TASK} | {task.is_built_without_torch}
    tried |= {does_no_work_at_import, task.tells_people_what_it_predicted}  # test_imports.py, and above
    assert tried == {*task.CHECKS}
