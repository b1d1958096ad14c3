"""Figures that were changed by hand, cut short or written by something else: a table, or one message."""

import json
import random

import numpy as np

from vlzoo.data.records import Sample
from vlzoo.errors import VlzooError
from vlzoo.metrics.figures import Figures
from vlzoo.report import examples
from vlzoo.report.compare import compare
from vlzoo.report.page import page
from vlzoo.report.report import gathered, whole_page
from vlzoo.report.subjects import subjects

ODD = [None, -1, 1e999, "", "x", [], [1, "a"], {}, {"a": None}, True, [[]], "\ud800"]


class Source(list):
    """Questions as a data source."""

    name = "scenes/test"

    def fingerprint(self):
        return "f1"


def places(value, path=()):
    """Every place in plain data."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from places(each, (*path, key))


def changed(value, path, new):
    """Plain data with another value at a place; `Ellipsis` takes it away."""
    if not path:
        return new if new is not ... else None
    made = dict(value) if isinstance(value, dict) else list(value)
    if new is ... and len(path) == 1:
        made.pop(path[0])
    else:
        made[path[0]] = changed(made[path[0]], path[1:], new)
    return made


def test_odd_figures_are_one_message_or_a_table(measured, fuzz):
    score = Figures("vqa", "vqa/official").hits("accuracy", np.arange(12) < 5, (np.arange(12) // 2).tolist())
    about = {"options": {"k": 4, "beams": 1}, "recipe": {"task": "vqa"}, "k": 4, "mode": "rank", "checkpoint": 3}
    measured("a", score, **about)
    file = measured("b", score, **about).file
    whole = json.loads(file.read_text())
    cases = [(path, new) for path in places(whole) for new in (*ODD, ...)]
    refused = {}
    for path, new in random.Random(0).sample(cases, fuzz(120, of=len(cases))):
        file.write_text(json.dumps(changed(whole, path, new)))
        try:
            found = compare(subjects(["a", "b"]))
            page(found, [[]] * len(found.tables), True)
        except VlzooError as error:
            refused[path, repr(new)] = str(error)
    unnamed = {case: said for case, said in refused.items() if str(file.with_suffix("")) not in said}
    assert unnamed == {}
    assert 0 < len(refused) < len(cases)


def test_odd_values_in_a_run_leave_a_page_or_one_message(measured, fuzz, monkeypatch):
    """In its description, its log, its figures and its predictions."""
    names = [str(number) for number in range(12)]
    questions = [Sample(name, texts=("which?",), image_id=name, answers=("yes",)) for name in names]
    monkeypatch.setattr(examples, "open_source", lambda _ref, _root: Source(questions))
    score = Figures("vqa", "vqa/exact").hits("accuracy", np.arange(12) < 5, detail={"kind: a": 4.0})
    found = measured("a", score, opened={"part": "scenes-vqa"}, notes=["one"])
    rows = [{"name": name, "answer": "yes" if int(name) < 5 else "no"} for name in names]
    noted = {
        **{
            "recipe": "x",
            "seed": 1,
            "parameters": 5,
            "steps": 4,
            "command": ["vlzoo"],
            "cores": 2,
            "packages": {"a": "1"},
        },
        **{"plugins": {"core": "vlzoo 0"}, "parts": {"objective/a": "b 1"}, "started_on": []},
        "data": [{"name": "a/train", "fingerprint": "f", "samples": 3, "licence": "CC0"}],
    }
    logged = [{"step": 1, "lr": 0.1, "itc": 2.0}, {"step": 2, "lr": 0.1, "itc": 1.0, "validation/accuracy": 5.0}]
    shard = found.file.parent / "shard-000.jsonl"
    files = {
        found.run.folder / "run.json": noted,
        found.run.folder / "metrics.jsonl": logged,
        found.file: json.loads(found.file.read_text()),
        shard: rows,
    }
    cases = [(file, path, new) for file, held in files.items() for path in places(held) for new in (*ODD, ...)]
    refused = {}
    for file, path, new in random.Random(0).sample(cases, fuzz(60, of=len(cases))):
        for each, held in files.items():
            value = changed(held, path, new) if each == file else held
            lines = "".join(json.dumps(row) + "\n" for row in value) if isinstance(value, list) else json.dumps(value)
            each.write_text(lines if each.suffix == ".jsonl" else json.dumps(value))
        try:
            assert "<h1>a</h1>" in whole_page(gathered(subjects(["a"], unmeasured=True), 1, None))
        except VlzooError as error:
            refused[file.stem, path, repr(new)] = str(error)
    assert {case: said for case, said in refused.items() if case[0] not in said} == {}
    assert 0 < len(refused) < fuzz(60, of=len(cases)) / 2
