"""Hypotheses are read back by regular expressions of their own and judged over all that a curtain may hide."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest

from vlzoo.data.scenes.words import NUMBERS

FILES = {"train": "train", "dev": "val", "test": "test"}


def _possible(text, row):
    """The truth values the hypothesis can take, whatever is behind the curtain."""
    number = re.fullmatch(r"There are (at least|no more than|exactly) (\w+) objects\.", text)
    if number:
        wanted, seen = NUMBERS.index(number[2]), len(row["seen"])
        holds = {"at least": int.__ge__, "no more than": int.__le__, "exactly": int.__eq__}[number[1]]
        hidden = range(7) if row["curtain"] else range(1)
        return {holds(seen + more, wanted) for more in hidden}
    absent, what = re.fullmatch(r"There is (a|no) (.+)\.", text).groups()
    words = what.replace(" object", "").split()
    there = any(all(word in map(str, thing.values()) for word in words) for thing in row["seen"])
    values = {True} if there else {True, False} if row["curtain"] else {False}
    return {not value for value in values} if absent == "no" else values


@pytest.mark.parametrize("name", FILES)
def test_every_class_is_right(read, described, name):
    named = {(True,): "entailment", (False,): "contradiction", (False, True): "neutral"}
    for row in read(f"snli_ve/snli_ve_{name}.jsonl"):
        picture = described[int(row["Flickr30K_ID"])]
        assert picture["kind"] == "premise" and picture["split"] == FILES[name]
        assert named[tuple(sorted(_possible(row["sentence2"], picture)))] == row["gold_label"], row


@pytest.mark.parametrize("name", FILES)
def test_a_hypothesis_is_equally_frequent_in_all_classes(read, name):
    counts = defaultdict(Counter)
    for row in read(f"snli_ve/snli_ve_{name}.jsonl"):
        counts[row["sentence2"]][row["gold_label"]] += 1
    assert len(counts) > 20
    for text, classes in counts.items():
        assert len(classes) == 3 and len(set(classes.values())) == 1, (text, classes)


@pytest.mark.parametrize("name", FILES)
def test_pair_ids_are_unique_and_carry_the_class(read, name):
    rows = read(f"snli_ve/snli_ve_{name}.jsonl")
    assert len({row["pairID"] for row in rows}) == len(rows)
    for row in rows:
        assert row["pairID"].endswith(row["gold_label"][0])
        assert row["pairID"].startswith(row["captionID"])


def test_half_of_the_premises_are_curtained_and_hide_something(described):
    premises = [row for row in described.values() if row["kind"] == "premise"]
    curtained = [row for row in premises if row["curtain"]]
    assert abs(2 * len(curtained) - len(premises)) <= 3  # odd sizes of three splits
    assert any(len(row["things"]) > len(row["seen"]) for row in curtained)
    assert any(len(row["things"]) == len(row["seen"]) for row in curtained)
    assert all(row["curtain"] is None for row in described.values() if row["kind"] == "scene")
