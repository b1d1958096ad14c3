from __future__ import annotations

import pytest
from vlzoo_vlmixer.concepts import Concepts, pieces, singular


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        *[("trains", "train"), ("cars", "car"), ("women", "woman"), ("people", "person"), ("knives", "knife")],
        *[("cherries", "cherry"), ("cookies", "cookie"), ("boxes", "box"), ("benches", "bench"), ("dishes", "dish")],
        *[("buses", "bus"), ("houses", "house"), ("blouses", "blouse"), ("horses", "horse"), ("vases", "vase")],
        *[("glasses", "glass"), ("tomatoes", "tomato"), ("shoes", "shoe"), ("gloves", "glove"), ("shelves", "shelf")],
        *[("skis", "ski"), ("lenses", "lens"), ("leaves", "leaf")],
    ],
)
def test_a_plural_is_folded_into_its_singular(plural, one):
    assert singular(plural) == one == singular(one)


@pytest.mark.parametrize("word", ["bus", "glass", "tennis", "canvas", "grass", "this", "is", "gas", "series", "his"])
def test_what_is_no_plural_stays(word):
    assert singular(word) == word


def test_a_label_is_folded_whatever_its_case_hyphens_and_blanks():
    assert pieces("Traffic-Lights") == pieces(" traffic  light") == ("traffic", "light")


def test_labels_that_fold_to_one_are_one_concept_named_by_the_shortest():
    known = Concepts(["Trains", "train", "TRAIN", "scissors", ""])
    assert known.names == ["scissors", "train"]
    assert known.numbers == [1, 1, 1, 0, -1]
    assert known.number("trains") == 1 and known.number("dog") is None


def test_the_longest_concept_is_found_first_wherever_it_begins():
    known = Concepts(["hot dog", "dog stand", "hot dog stand", "dog"])
    names = [known.names[number] for _, _, number in known.find(["a", "hot", "dog", "stand", "and", "two", "dogs"])]
    assert names == ["hot dog stand", "dog"]
    # From the left `red light` would be first; the longer one wins all the same.
    known = Concepts(["red light", "light pole sign", "red"])
    assert [(start, end) for start, end, _ in known.find(["red", "light", "pole", "sign"])] == [(0, 1), (1, 4)]


def test_words_with_marks_are_found_whole_or_not_at_all():
    known = Concepts(["t shirt", "man", "dog"])
    assert known.find(["a", "T-Shirts,", "man's", "dog."]) == [(1, 2, known.number("t-shirt")), (3, 4, 0)]


def test_a_sentence_without_a_concept():
    assert Concepts(["dog"]).find(["nothing", "is", "here"]) == []
    assert Concepts([]).find(["dog"]) == []
