"""Figures that were changed by hand, cut short or written by something else: a table, or one message."""

import json
import random

import numpy as np

from vlzoo.errors import VlzooError
from vlzoo.metrics.figures import Figures
from vlzoo.report.compare import compare
from vlzoo.report.page import page
from vlzoo.report.subjects import subjects

ODD = [None, -1, 1e999, "", "x", [], [1, "a"], {}, {"a": None}, True, [[]], "\ud800"]


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
