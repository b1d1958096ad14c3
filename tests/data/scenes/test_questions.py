"""Questions are read back by regular expressions of their own and answered from the description."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from random import Random

import numpy as np
import pytest

from vlzoo.data.scenes.balance import balanced, shares
from vlzoo.data.scenes.questions import FAMILIES, annotate
from vlzoo.data.scenes.words import ANSWERS, COLORS, SHAPES, TEXTURES

SPLITS = ("train", "val", "test")
SIDE = {
    "leftmost": lambda thing: thing["x"],
    "rightmost": lambda thing: -thing["x"],
    "topmost": lambda thing: thing["y"],
    "bottommost": lambda thing: -thing["y"],
}


def _yes(holds):
    return "yes" if holds else "no"


def _all(seen, *words):
    return [thing for thing in seen if all(word in map(str, thing.values()) for word in words)]


def _only(seen, *words):
    (found,) = _all(seen, *words)
    return found


def _left_of(row, one, other):
    return _yes(_only(row["seen"], one)["x"] < _only(row["seen"], other)["x"])


def _extreme(row, attribute, side):
    return min(row["seen"], key=SIDE[side])[attribute]


def _side(row, color, low, high):
    place = _only(row["seen"], color)["x" if low == "left" else "y"]
    return low if place < 0.5 else high


COLOR, SHAPE = "|".join(COLORS), "|".join(SHAPES)
READINGS = (
    (rf"Is there a ({COLOR}) (?:object|thing)\?", lambda row, color: _yes(_all(row["seen"], color))),
    (rf"Is there a ({SHAPE})(?: in the picture)?\?", lambda row, shape: _yes(_all(row["seen"], shape))),
    (rf"Is there a ({COLOR}) ({SHAPE})\?", lambda row, *words: _yes(_all(row["seen"], *words))),
    (r"Is the ground (cluttered|plain)\?", lambda row, word: _yes((row["clutter"] is None) == (word == "plain"))),
    (rf"Is the ({COLOR}) object left of the ({COLOR}) object\?", _left_of),
    (r"Are all the objects of the same color\?", lambda row: _yes(len({thing["color"] for thing in row["seen"]}) == 1)),
    (r"Are there objects of different colors\?", lambda row: _yes(len({thing["color"] for thing in row["seen"]}) > 1)),
    (
        rf"Is the ({SHAPE}) ({'|'.join(TEXTURES)})\?",
        lambda row, shape, texture: _yes(_only(row["seen"], shape)["texture"] == texture),
    ),
    (r"How many objects are (?:there|in the picture)\?", lambda row: str(len(row["seen"]))),
    (rf"How many ({COLOR}) objects are there\?", lambda row, color: str(len(_all(row["seen"], color)))),
    (rf"How many ({SHAPE})(?:es|s) are there\?", lambda row, shape: str(len(_all(row["seen"], shape)))),
    (rf"What color is the ({SHAPE})\?", lambda row, shape: _only(row["seen"], shape)["color"]),
    (r"What color is the (small|large) object\?", lambda row, size: _only(row["seen"], size)["color"]),
    (r"What (color|shape) is the (\w+most) object\?", _extreme),
    (rf"What shape is the ({COLOR}) object\?", lambda row, color: _only(row["seen"], color)["shape"]),
    (rf"What texture does the ({COLOR}) object have\?", lambda row, color: _only(row["seen"], color)["texture"]),
    (rf"Is the ({COLOR}) object small or large\?", lambda row, color: _only(row["seen"], color)["size"]),
    (rf"Is the ({COLOR}) object at the (left|top) or at the (right|bottom)\?", _side),
)


def _rows(read, split):
    asked = read(f"vqa/v2_OpenEnded_scenes_{split}_questions.json")["questions"]
    answered = read(f"vqa/v2_scenes_{split}_annotations.json")["annotations"]
    return [{**question, **answer} for question, answer in zip(asked, answered, strict=True)]


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_is_right(read, described, split):
    rows = _rows(read, split)
    used = set()
    for row in rows:
        number, found = next(
            (number, found)
            for number, (pattern, _) in enumerate(READINGS)
            if (found := re.fullmatch(pattern, row["question"]))
        )
        assert READINGS[number][1](described[row["image_id"]], *found.groups()) == row["multiple_choice_answer"], row
        used.add(number)
    if split == "train":
        assert used == set(range(len(READINGS)))


@pytest.mark.parametrize("split", SPLITS)
def test_answers_of_a_question_are_equally_frequent(read, split):
    counts = defaultdict(Counter)
    for row in _rows(read, split):
        question = re.sub(r" thing\?", " object?", row["question"]).replace(" in the picture?", "?")
        question = re.sub(r"How many objects are( there)?\?", "How many objects?", question)
        counts[question][row["multiple_choice_answer"]] += 1
    for question, answers in counts.items():
        assert len(answers) > 1, question
        assert len(set(answers.values())) == 1, (question, answers)


@pytest.mark.parametrize("split", SPLITS)
def test_no_picture_is_asked_the_same_twice(read, split):
    rows = _rows(read, split)
    assert len({(row["image_id"], row["question"]) for row in rows}) == len(rows)
    assert len({row["question_id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("split", SPLITS)
def test_annotators_agree_in_the_main(read, split):
    agreed = Counter()
    for row in _rows(read, split):
        given = [answer["answer"] for answer in row["answers"]]
        assert len(given) == 10  # VQA v2: ten annotators
        assert given.count(row["multiple_choice_answer"]) >= 7
        assert [answer["answer_id"] for answer in row["answers"]] == list(range(1, 11))
        assert set(given) <= set(ANSWERS)
        agreed[given.count(row["multiple_choice_answer"])] += 1
    assert set(agreed) == {7, 8, 9, 10} and agreed[10] > agreed[9] > agreed[7]


def test_annotators_err_within_the_kind():
    for answer, kind in (
        ("3", {"2", "3", "4"}),
        ("0", {"0", "1"}),
        ("yes", {"yes", "no"}),
        ("left", {"left", "right"}),
    ):
        assert set().union(*(annotate(answer, Random(seed)) for seed in range(60))) == kind


def test_the_mix_sums_to_one_and_matches_its_documentation():
    share = Counter()
    for _, answer_type, part, _ in FAMILIES:
        share[answer_type] += part
    assert {name: round(part, 6) for name, part in share.items()} == {"yes/no": 0.4, "number": 0.2, "other": 0.4}


def test_balanced_takes_equal_parts_and_drops_the_rare():
    label_N = np.array([0] * 50 + [1] * 20 + [2] * 2 + [-1] * 30)
    chosen = balanced(label_N, 30, Random(0))
    assert Counter(label for _, label in chosen) == {0: 15, 1: 15}
    assert all(label_N[row] == label for row, label in chosen)
    assert Counter(label for _, label in balanced(label_N, 30, Random(0), whole=True)) == {0: 2, 1: 2, 2: 2}
    assert balanced(np.array([1, 1, -1]), 10, Random(0)) == []


def test_shares_cut_without_remainder():
    assert shares(10, 3) == [3, 3, 4]
