"""Examples: the same samples whatever the run, under the right heading, and what a task can't tell."""

import json
from types import SimpleNamespace

import pytest

from vlzoo.data.records import Sample, Told
from vlzoo.errors import DataError
from vlzoo.hashing import number_of
from vlzoo.metrics.figures import Figures
from vlzoo.report import examples
from vlzoo.report.compare import compare
from vlzoo.report.examples import APART, RIGHT, UNKNOWN, WRONG, Example, Examples, examples_of
from vlzoo.report.subjects import subjects

NAMES = [str(number) for number in range(40)]
QUESTIONS = [Sample(name, texts=(f"is it {name}?",), image_id=name, answers=("yes",)) for name in NAMES]
EVEN = {name: "yes" if int(name) % 2 == 0 else "no" for name in NAMES}
SMALL = {name: "yes" if int(name) < 10 else "no" for name in NAMES}


class Source(list):
    """Questions as a data source."""

    name = "scenes/test"

    def fingerprint(self):
        return "f1"


@pytest.fixture
def answered(measured, monkeypatch):
    """Runs that answered the questions, and the table of their figures."""
    monkeypatch.setattr(examples, "open_source", lambda _ref, _root: Source(QUESTIONS))

    def make(**runs):
        for name, answers in runs.items():
            figure = Figures("vqa", "vqa/exact").hits("accuracy", [answers.get(each) == "yes" for each in NAMES])
            found = measured(name, figure, protocol="official", opened={"part": "scenes-vqa"})
            rows = [{"name": each, "answer": answer} for each, answer in answers.items()]
            (found.file.parent / "shard-000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (table,) = compare(subjects(list(runs))).tables
        return table

    return make


def test_right_and_wrong_ones_in_an_order_drawn_from_their_names(answered):
    found = examples_of(answered(a=EVEN), 3, None)
    assert list(map(len, found.groups.values())) == [3, 3] and set(found.groups) == {RIGHT, WRONG}
    order = sorted(NAMES, key=number_of)
    assert [each.sample.name for each in found.groups[RIGHT]] == [n for n in order if EVEN[n] == "yes"][:3]
    assert [each.sample.name for each in found.groups[WRONG]] == [n for n in order if EVEN[n] == "no"][:3]
    assert found.samples == 40 and 6 <= found.looked_at < 40 and found.why_not == []
    told = found.groups[WRONG][0].told["a"]
    assert (told.said, told.truth, told.right) == ("no", ("yes",), 0.0)


def test_of_several_runs_those_where_they_differ_too(answered):
    found = examples_of(answered(a=EVEN, b=SMALL), 40, None)
    names = {heading: {each.sample.name for each in group} for heading, group in found.groups.items()}
    assert names[RIGHT] == {n for n in NAMES if EVEN[n] == SMALL[n] == "yes"}
    assert names[WRONG] == {n for n in NAMES if EVEN[n] == SMALL[n] == "no"}
    assert names[APART] == set(NAMES) - names[RIGHT] - names[WRONG]
    assert found.looked_at == 40


def test_two_thousand_samples_are_looked_at_and_no_more():
    found = Examples(SimpleNamespace(task="vqa"), {})
    samples = [Sample(str(number)) for number in range(2_010)]
    examples._look(found, samples, {"a": lambda _: Told("", "", right=100.0)}, 1)  # a wrong one never comes
    assert (found.looked_at, found.samples) == (2_000, 2_010)


@pytest.mark.parametrize(
    ("values", "heading"),
    [
        ([100.0], RIGHT),
        ([60.0], RIGHT),
        ([30.0], WRONG),
        ([None], UNKNOWN),
        ([100.0, 0.0], APART),
        ([100.0, None], RIGHT),
        ([0.0, 30.0], WRONG),
    ],
)
def test_headings(values, heading):
    told = {str(number): Told("", "", right=value) for number, value in enumerate(values)}
    assert Example(Sample("x"), told).heading == heading


def test_no_examples_are_wanted(answered):
    found = examples_of(answered(a=EVEN), 0, None)
    assert found.groups == {} and found.why_not == [] and found.looked_at == 0


def test_predictions_that_are_gone_leave_that_run_out(answered):
    found = examples_of(answered(a=EVEN, b=dict.fromkeys(NAMES[1:], "yes")), 2, None)
    assert "b: " in found.why_not[0] and "1 predictions are not there (0)" in found.why_not[0]
    assert {*found.groups[RIGHT][0].told} == {"a"}


def test_a_task_that_fails_on_a_sample_is_named_and_the_others_are_shown(answered, monkeypatch):
    real = examples._task

    def broken(measured):
        task = real(measured)
        if str(measured.run.folder) == "b":
            task.told = lambda *_: lambda sample: {}[sample.name]
        return task

    monkeypatch.setattr(examples, "_task", broken)
    found = examples_of(answered(a=EVEN, b=SMALL), 2, None)
    (said,) = found.why_not
    assert said.startswith("b: sample ") and "KeyError" in said
    assert {*found.groups[RIGHT][0].told} == {"a"}


class Broken(Source):
    """A stranger's data, which fail when they are gone through."""

    def __iter__(self):
        raise KeyError("column")


def test_data_that_fail_leave_examples_out_with_the_reason(answered, monkeypatch):
    table = answered(a=EVEN)
    monkeypatch.setattr(examples, "open_source", lambda _ref, _root: Broken(QUESTIONS))
    found = examples_of(table, 2, None)
    assert found.why_not == ["KeyError: 'column'"] and found.groups == {}


def test_samples_without_a_prediction_that_were_let_pass_are_wrong(answered, monkeypatch):
    table = answered(a=dict.fromkeys(NAMES[:39], "yes"))
    real = examples.read

    def missing(run, file):
        found = real(run, file)
        found.about["missing"] = 1
        return found

    monkeypatch.setattr(examples, "read", missing)
    found = examples_of(table, 40, None)
    assert [each.sample.name for each in found.groups[WRONG]] == ["39"]


@pytest.mark.parametrize(
    ("about", "said"),
    [({}, "of an older vlzoo"), ({"opened": {"part": "x"}, "fingerprint": "f2"}, "is f1, and was f2")],
)
def test_data_that_are_not_those_of_the_figures_are_refused(monkeypatch, about, said):
    monkeypatch.setattr(examples, "open_source", lambda _ref, _root: Source(QUESTIONS))
    with pytest.raises(DataError, match=said):
        examples.reopened([SimpleNamespace(about=about)], None)
