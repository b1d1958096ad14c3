"""What every registered task keeps to, whoever made it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from vlzoo.bench.shards import left_of
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import PredictionError
from vlzoo.task import Effort

_spec = importlib.util.spec_from_file_location(
    "bench_fixtures", Path(__file__).resolve().parent.parent / "bench" / "conftest.py"
)
assert _spec and _spec.loader
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)
corpus, sources, engine_for, predicted = kit.corpus, kit.sources, kit.engine_for, kit.predicted

TASKS = sorted(part.name for part in registry().of("task"))
MEASURED = sorted(kit.TRAINED)


def test_the_fixtures_know_every_task_of_the_core():
    """A new task of the core must be added to `TRAINED` in tests/bench/conftest.py, or it is not tested."""
    core = {part.name for part in registry().of("task") if str(part.target).startswith("vlzoo.")}
    assert core == set(MEASURED)


SCORING = {
    "protocol": (),  # every protocol that the task has
    "ties": ("strict", "argsort"),
    "karpathy": ("coco",),
    "subsets": (["FILE"],),
    "splits": (["FILE"],),
    "questions": ("FILE",),
    "part": ("test", "val", "train"),
    "text_only": (True, False),
    "positives": (["FILE"],),
}
"""Options of the core's tasks that change figures alone, by what docs/bench.md says of them; values to try."""

OTHER_SCORES = {("retrieval", "itc"), ("retrieval", "itc/argsort"), ("retrieval", "strict"), ("retrieval", "argsort")}
OTHER_SCORES |= {(name, how) for name in ("hard-negatives", "winoground", "vsr") for how in ("itc", "given")}
OTHER_SCORES |= {("zero-shot", "itm"), ("vsr", "classify")}
"""Protocols that count the cosine alone or scores from a file: no second stage is predicted for them."""
OTHER = {"k": 7, "beams": 2, "answers": 5, "mode": None, "length": 9, "least": 2, "length_penalty": 0.5, "no_repeat": 3}
OTHER |= {"top_p": 0.9, "temperature": 0.7, "seed": 1, "prompts": ["a {}"], "names": ["cat", "dog"]}
WITH = {"top_p": {"beams": 1}, "temperature": {"beams": 1}}
"""What an option can't go without."""


@pytest.mark.parametrize("name", TASKS)
def test_options_that_change_predictions_are_in_their_key_and_others_are_not(name, tmp_path):
    """The key is a hash of JSON; a protocol that only scores differently must not cost new predictions."""
    plain = dict(registry().build("task", name).kept())
    assert json.loads(json.dumps(plain)) == plain
    (tmp_path / "boxes.json").write_text("{}")
    for option in schema_of(registry().find("task", name)).options:
        if option.name in SCORING:
            for value in SCORING[option.name] or registry().build("task", name).protocols:
                file = str(tmp_path / "boxes.json")
                given = [file] if value == ["FILE"] else file if value == "FILE" else value
                kept = dict(registry().build("task", name, **{option.name: given}).kept())
                other = option.name == "protocol" and (name, value) in OTHER_SCORES
                assert (kept == plain) == (not other), (option.name, value)
            continue
        choices = re.findall(r"'(\w+)'", option.type)
        value = choices[0] if choices else OTHER.get(option.name, str(tmp_path / "boxes.json"))
        beside = WITH.get(option.name, {})
        kept = dict(registry().build("task", name, **beside, **{option.name: value}).kept())
        assert kept != dict(registry().build("task", name, **beside).kept()), option.name


@pytest.mark.parametrize("name", MEASURED)
def test_a_share_of_whole_groups_gives_the_rows_of_the_whole(name, predicted, sources):
    """Bit for bit: what several processes, and a bench that goes on, count on."""
    whole, names = predicted(name, batch=3), [sample.name for sample in sources[name]]
    size = registry().build("task", name).together(Effort(batch=3))
    mine = left_of((1, 2), names, size, done=())
    assert 0 < len(mine) < len(names)
    rows = predicted(name, done=frozenset(names) - set(mine), batch=3)
    assert rows == {each: whole[each] for each in mine}


@pytest.mark.parametrize("name", MEASURED)
def test_what_is_told_of_each_prediction_comes_to_the_figure_of_all(name, predicted, sources):
    """The main figure is a mean over samples; in retrieval the recall of texts, TR R@1. CIDEr is no percentage."""
    task, rows = registry().build("task", name), predicted(name)
    (figure, *_), tell = task.score(sources[name], rows).scores, task.told(sources[name], rows)
    told = {sample.name: tell(sample) for sample in task.counted(sources[name])}
    right = [each.right for each in told.values() if each.right is not None]
    if figure.unit != "%":
        assert right == [] and len(told) == figure.samples
        return
    assert len(right) == figure.samples
    assert sum(right) / len(right) == pytest.approx(figure.value)
    assert all(each.said for each in told.values())


@pytest.mark.parametrize("name", MEASURED)
def test_a_missing_prediction_is_refused(name, predicted, sources):
    rows = predicted(name)
    gone = next(iter(rows))
    rows.pop(gone)
    task = registry().build("task", name)
    with pytest.raises(PredictionError, match=rf"^.*\b1 \w+ .*\({re.escape(gone)}\)"):
        task.score(sources[name], rows)
