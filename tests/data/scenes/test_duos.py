"""Two-image sentences are read back by regular expressions of their own and judged from the descriptions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest

from vlzoo.data.scenes.words import COLORS, NUMBERS, SHAPES

FILES = {"train": "train", "dev": "val", "test1": "test"}
WORDS = (*NUMBERS, "seven", "eight", "nine")


def _shows(row, what):
    if what.endswith("ground"):
        return (row["clutter"] is None) == ("plain" in what)
    if what.startswith("exactly"):
        return len(row["seen"]) == WORDS.index(what.split()[1])
    words = [word for word in what.split() if word in COLORS or word in SHAPES]
    assert words, what
    return any(all(word in (thing["color"], thing["shape"]) for word in words) for thing in row["seen"])


def _true(sentence, left, right):
    counts = len(left["seen"]), len(right["seen"])
    what = re.fullmatch(r"(.+?)(?: of the)? pictures? shows? (.+)\.", sentence)
    total = re.fullmatch(r"There are at least (\w+) objects in all\.", sentence)
    if total:
        return sum(counts) >= WORDS.index(total[1])
    if " has more " in sentence:
        return counts[0] > counts[1]
    if " has fewer " in sentence:
        return counts[0] < counts[1]
    if "same number" in sentence:
        return counts[0] == counts[1]
    mixed = re.fullmatch(r"The left picture shows (.+) and the right picture shows (.+)\.", sentence)
    if mixed:
        return _shows(left, mixed[1]) and _shows(right, mixed[2])
    who, thing = what.groups()
    shown = _shows(left, thing), _shows(right, thing)
    return {
        "The left": shown[0],
        "The right": shown[1],
        "Both": all(shown),
        "Neither": not any(shown),
        "At least one": any(shown),
        "Only one": sum(shown) == 1,
    }[who]


@pytest.mark.parametrize("name", FILES)
def test_every_label_is_right(read, described, name):
    for row in read(f"nlvr2/{name}.json"):
        left, right = (described[int(image.removesuffix(".png"))] for image in row["images"])
        assert left["split"] == right["split"] == FILES[name]
        assert left is not right
        assert str(_true(row["sentence"], left, right)) == row["label"], row


@pytest.mark.parametrize("name", FILES)
def test_a_group_has_one_sentence_two_true_and_two_false_pairs(read, name):
    groups = defaultdict(list)
    for row in read(f"nlvr2/{name}.json"):
        split, group, pair, sentence = row["identifier"].split("-")  # NLVR2's scheme: split-set-pair-sentence
        assert split == name and sentence == "0"
        groups[group].append((pair, row))
    assert len(groups) >= 50
    for rows in groups.values():
        assert sorted(pair for pair, _ in rows) == ["0", "1", "2", "3"]
        assert len({row["sentence"] for _, row in rows}) == 1
        assert Counter(row["label"] for _, row in rows) == {"True": 2, "False": 2}
        assert len({tuple(row["images"]) for _, row in rows}) == 4


def test_sentences_vary(read):
    assert len({row["sentence"] for row in read("nlvr2/train.json")}) > 40
