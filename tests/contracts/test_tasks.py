"""What every registered task keeps to, whoever made it."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vlzoo.bench.shards import left_of
from vlzoo.data.records import Fields
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import PredictionError
from vlzoo.metrics.figures import Scored
from vlzoo.task import Effort, Task

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


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_what_it_is(name):
    task = registry().build("task", name)
    assert isinstance(task, Task)
    assert task.name == name
    assert task.protocols and len(set(task.protocols)) == len(task.protocols)
    assert inspect.getdoc(type(task))


SCORING = {
    "protocol": (),  # every protocol that the task has
    "ties": ("strict", "argsort"),
    "karpathy": ("coco",),
    "subsets": (["FILE"],),
    "splits": (["FILE"],),
    "questions": ("FILE",),
}
"""Options of the core's tasks that change figures alone, by what docs/bench.md says of them; values to try."""

OTHER_SCORES = {("retrieval", "itc"), ("retrieval", "itc/argsort"), ("retrieval", "strict"), ("retrieval", "argsort")}
"""Protocols that count the cosine alone or scores from a file: no second stage is predicted for them."""
OTHER = {"k": 7, "beams": 3, "answers": 5, "mode": None}


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
        assert dict(registry().build("task", name, **{option.name: value}).kept()) != plain, option.name


@pytest.mark.parametrize("name", TASKS)
def test_an_option_is_kept_under_its_own_name(name):
    """What `Task.kept` and a reader of the code count on."""
    task = registry().build("task", name)
    for option in schema_of(registry().find("task", name)).options:
        assert hasattr(task, option.name), option.name


@pytest.mark.parametrize("name", TASKS)
def test_importing_a_task_imports_no_torch(name):
    """`vlzoo score` needs none, and a listing even less."""
    code = f"from vlzoo.door.plugins import registry; registry().build('task', {name!r}); import sys; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_learned_survives_json(name, sources):
    task, again = registry().build("task", name), registry().build("task", name)
    task.learn(list(sources[name]))
    again.restore(json.loads(json.dumps(dict(task.state()))))
    assert again.classes() == task.classes()
    assert dict(again.state()) == dict(task.state())


@pytest.mark.parametrize("name", MEASURED)
def test_training_fields_fit_the_batch(name, sources, engine_for):
    task = registry().build("task", name)
    task.learn(list(sources[name]))
    samples = [sources[name][row] for row in range(3)]
    fields = task.fields(samples, engine_for({"itm": {}}).tokenizer)
    assert isinstance(fields, Fields)
    assert not any(isinstance(value, torch.Tensor) for value in (fields.labels, *fields.extra.values()))
    if fields.labels is not None:
        assert fields.labels.shape[0] == 3
        assert int(fields.labels.min()) >= 0 and int(fields.labels.max()) < len(task.classes())
    for text in fields.texts.values():
        assert text.ids.shape == text.mask.shape


@pytest.mark.parametrize("name", MEASURED)
def test_predictions_are_json_one_a_sample(name, predicted, sources):
    rows = predicted(name)
    assert list(rows) == [sample.name for sample in sources[name]]
    assert json.loads(json.dumps(rows)) == rows


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
def test_scores_carry_their_protocol_and_interval(name, predicted, sources):
    task = registry().build("task", name)
    rows = predicted(name)
    scored = task.score(sources[name], rows).on(f"{sources[name].name} f")
    assert isinstance(scored, Scored)
    for score in scored.scores:
        assert score.task == name and score.protocol.startswith(f"{name}/")
        assert score.data.startswith(sources[name].name)
        assert np.isfinite(score.value) and score.samples > 0
        if score.interval:
            assert score.interval[0] <= score.value + 1e-9 and score.value - 1e-9 <= score.interval[1]


@pytest.mark.parametrize("name", MEASURED)
def test_the_order_of_predictions_changes_no_figure(name, predicted, sources):
    task, rows = registry().build("task", name), predicted(name)
    turned = dict(reversed(rows.items()))
    first, second = (task.score(sources[name], each) for each in (rows, turned))
    assert [score.value for score in first.scores] == [score.value for score in second.scores]


@pytest.mark.parametrize("name", MEASURED)
def test_a_missing_prediction_is_refused(name, predicted, sources):
    rows = predicted(name)
    gone = next(iter(rows))
    rows.pop(gone)
    task = registry().build("task", name)
    with pytest.raises(PredictionError, match=rf"^.*\b1 \w+ .*\({re.escape(gone)}\)"):
        task.score(sources[name], rows)


@pytest.mark.parametrize("name", MEASURED)
def test_a_blank_prediction_is_scored_as_wrong(name, predicted, sources):
    """Every figure with blanks alone is 0; tasks that have no blank refuse a missing picture."""
    task, source = registry().build("task", name), sources[name]
    blanks = {sample.name: task.blank(sample) for sample in source}
    if None in blanks.values():
        assert set(blanks.values()) == {None}
        return
    scored = task.score(source, blanks)
    assert {score.value for score in scored.scores} == {0.0}
