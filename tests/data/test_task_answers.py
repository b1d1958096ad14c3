"""The answer list: deterministic, with a coverage that counts what it says."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.data.answers import (
    alike,
    answer_weights,
    build_answer_list,
    read_answer_list,
    soft_accuracy,
    write_answer_list,
)
from vlzoo.errors import DataError

QUESTIONS = st.lists(st.lists(st.sampled_from(["yes", "no", "2", "red", "a cat"]), min_size=1, max_size=10), min_size=1)


def test_by_count_then_by_text():
    found = build_answer_list([["no", "yes"], ["yes", "blue"], ["no", "red"]])
    assert found.answers == ("no", "yes", "blue", "red")  # 2, 2, 1, 1: ties by text
    assert found.counts == (2, 2, 1, 1)


def test_threshold_and_top():
    questions = [["yes"] * 3, ["no"] * 2, ["red"]]
    assert build_answer_list(questions, at_least=2).answers == ("yes", "no")
    assert build_answer_list(questions, top=1).answers == ("yes",)


def test_majority_counts_one_answer_a_question():
    found = build_answer_list([["2", "two", "two"], ["a", "b"]], count="majority")
    assert dict(zip(found.answers, found.counts, strict=True)) == {"two": 1, "a": 1}


def test_normalise_is_applied_before_counting():
    assert build_answer_list([["Yes", "yes"]], normalise=str.lower).counts == (2,)


def test_empty_answers_and_empty_lists():
    assert build_answer_list([["", "yes"]]).answers == ("yes",)
    with pytest.raises(DataError, match="at least 5 times"):
        build_answer_list([["yes"]], at_least=5)
    with pytest.raises(DataError, match="a split with answers"):
        build_answer_list([])


@given(QUESTIONS, st.integers(0, 1000))
def test_order_of_questions_does_not_matter(questions, seed):
    shuffled = [random.Random(seed + i).sample(q, len(q)) for i, q in enumerate(questions)]
    random.Random(seed).shuffle(shuffled)
    assert build_answer_list(questions) == build_answer_list(shuffled)


@given(QUESTIONS)
def test_a_full_list_reaches_every_question_and_a_longer_list_no_less(questions):
    full = build_answer_list(questions)
    assert full.coverage(questions).reachable == 1.0
    attainable = [build_answer_list(questions, top=n).coverage(questions).attainable for n in range(1, len(full) + 1)]
    assert attainable == sorted(attainable)


def test_coverage_by_hand():
    found = build_answer_list([["yes"] * 10, ["no"] * 10], top=1)  # "no": a tie, first by text
    coverage = found.coverage([["no"] * 10, ["no"] + ["yes"] * 9, ["red"] * 10, []])
    assert coverage.questions == 3  # the unanswered one does not count
    assert coverage.reachable == pytest.approx(2 / 3)
    # 1.0 for ten of ten; one of ten: nine annotators see 1/3 each, 9/30 = 0.3 (official figure, PEERS D.1); 0
    assert coverage.attainable == pytest.approx((1.0 + 0.3 + 0.0) / 3)
    assert "3 questions, 66.67 % reachable" in str(coverage)


@pytest.mark.parametrize(("matches", "official"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_soft_accuracy_is_the_official_rule(matches, official):
    # PEERS D.1: red x1..x4 of ten gives 30, 60, 90, 100 by the official script.
    assert soft_accuracy(["red"] * matches + ["blue"] * (10 - matches), "red") == pytest.approx(official)


def test_a_single_annotator_is_equality():
    assert soft_accuracy(["red"], "red") == 1.0 and soft_accuracy(["red"], "blue") == 0.0


def test_weights_are_those_of_albef():
    # ALBEF_XVLM.md section 3: count/len(answers) per distinct answer; Visual Genome 0.5.
    assert answer_weights(["2", "two", "2", "2"]) == {"2": 0.75, "two": 0.25}
    assert answer_weights(["green"], total=0.5) == {"green": 0.5}


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=10))
def test_weights_sum_to_the_total(answers):
    assert sum(answer_weights(answers).values()) == pytest.approx(1.0)


def test_a_list_is_written_and_read(tmp_path):
    found = build_answer_list([["caf\u00e9", "yes", "yes"]])
    write_answer_list(tmp_path / "answers.json", found)
    assert read_answer_list(tmp_path / "answers.json") == ("yes", "caf\u00e9")
    assert json.loads((tmp_path / "answers.json").read_text(encoding="utf-8")) == ["yes", "caf\u00e9"]
    assert [path.name for path in tmp_path.iterdir()] == ["answers.json"]


WRONG = [
    (
        '{"yes": 0, "no": 1}',
        r"no answer list, but a dict of 2: \{'yes': 0, 'no': 1\}.*\n.*in the order of their numbers",
    ),
    ('{"answers": ["yes"]}', "a dict of 1"),
    ('["yes", 2]', "entry 1 of the answer list is 2, not a text"),
    ('["yes", null]', "entry 1 of the answer list is null"),
    ('["yes", NaN]', "entry 1 of the answer list is NaN"),
    ('[["yes", 3]]', r'entry 0 of the answer list is \["yes", 3\]'),
    ('["yes", "no", "yes"]', "entry 2 of the answer list is 'yes', as is entry 0"),
    ('["yes", ""]', "entry 1 of the answer list is blank: ''"),
    ('["yes", " \\t"]', "entry 1 of the answer list is blank"),
    ('["yes", "\\u00a0"]', "entry 1 of the answer list is blank"),
    ('["yes", "\\ud800"]', "half a letter"),
    ("[]", "the answer list is empty"),
    ("", "but empty, of 0 bytes"),
    ("[", "a JSON text that is cut short or damaged"),
    ('["yes"', "a JSON text that is cut short or damaged"),
    ("[" * 100_000, "a JSON text that is cut short or damaged"),
    ("null", "but null"),
    ("3", "but 3"),
    ('"yes"', 'but "yes"'),
    ("yes\nno\n", "a text that begins with 'yes"),
    ('"yes"\n"no"\n', "2 lines of JSON, each for itself"),
    ('{"answer": "yes"}\n{"answer": "no"}\n', "2 lines of JSON, each for itself"),
    ("<!DOCTYPE html>", "an HTML page"),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told[:30] for _, told in WRONG])
def test_a_wrong_answer_list_is_named(tmp_path, text, told):
    file = tmp_path / "answers.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=f"(?s){told}") as caught:
        read_answer_list(file)
    assert caught.value.where == str(file) and caught.value.fix


def test_a_list_that_is_not_there_a_folder_or_a_picture_is_named(tmp_path):
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, told in (("none.json", "No such file"), (".", "directory"), ("picture.json", "a PNG picture")):
        with pytest.raises(DataError, match=told):
            read_answer_list(tmp_path / name)


def test_a_byte_order_mark_is_no_part_of_the_first_answer(tmp_path):
    (tmp_path / "answers.json").write_bytes(b'\xef\xbb\xbf["yes",\r\n"no"]')
    assert read_answer_list(tmp_path / "answers.json") == ("yes", "no")


def test_answers_that_a_metric_takes_for_one_are_grouped():
    assert alike(["Yes", "no", "yes", "a", "A "], lambda answer: answer.lower().strip()) == [
        ("Yes", "yes"),
        ("a", "A "),
    ]
    assert alike(["yes", "no"], str.lower) == []


def test_blank_answers_of_annotators_make_no_answer():
    assert build_answer_list([[" ", "yes", "\t"]]).answers == ("yes",)
