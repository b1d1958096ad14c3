"""Expressions are read back by a grammar of their own and counted against the description."""

from __future__ import annotations

import re

EXTREMES = {
    "leftmost": lambda thing: thing["x"],
    "rightmost": lambda thing: -thing["x"],
    "topmost": lambda thing: thing["y"],
    "bottommost": lambda thing: -thing["y"],
}
BESIDE = {
    "left of": lambda one, mark: one["x"] < mark["x"],
    "right of": lambda one, mark: one["x"] > mark["x"],
    "above": lambda one, mark: one["y"] < mark["y"],
    "below": lambda one, mark: one["y"] > mark["y"],
}


def _fits(words, thing):
    values = {thing[key] for key in ("color", "shape", "size", "texture")}
    return all(word in values for word in words if word != "object")


def _meant(text, seen):
    """All the objects the expression fits."""
    text = text.removeprefix("the ")
    for relation, holds in BESIDE.items():
        if f" {relation} the " in text:
            head, mark = (part.split() for part in text.split(f" {relation} the "))
            marks = [thing for thing in seen if _fits(mark, thing)]
            assert len(marks) == 1, text
            return [thing for thing in seen if _fits(head, thing) and holds(thing, marks[0])]
    first, *rest = text.split()
    if first in EXTREMES:
        fitting = [thing for thing in seen if _fits(rest, thing)]
        best = min(map(EXTREMES[first], fitting))
        return [thing for thing in fitting if EXTREMES[first](thing) == best]
    return [thing for thing in seen if _fits(text.split(), thing)]


def test_every_expression_fits_its_object_and_no_other(read, described):
    rows = read("refcoco/refs(umd).json")
    forms = set()
    for row in rows:
        picture = described[row["image_id"]]
        target = picture["things"][row["ann_id"] % 10]
        for sentence in row["sentences"]:
            assert _meant(sentence["raw"], picture["seen"]) == [target], sentence["raw"]
            forms.add(next((word for word in (*EXTREMES, *BESIDE) if word in sentence["raw"]), "plain"))
    assert forms == {*EXTREMES, *BESIDE, "plain"}


def test_nearly_every_object_can_be_referred_to(read, described):
    objects = sum(len(row["seen"]) for row in described.values() if row["kind"] == "scene")
    assert len(read("refcoco/refs(umd).json")) > 0.9 * objects


def test_the_words_are_plain(read):
    for row in read("refcoco/refs(umd).json"):
        for sentence in row["sentences"]:
            assert re.fullmatch(r"the [a-z ]+", sentence["raw"])
            assert " ".join(sentence["tokens"]) == sentence["sent"] == sentence["raw"]
