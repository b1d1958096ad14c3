from __future__ import annotations

import re
from collections import Counter

from vlzoo.data.scenes.words import COLORS, NUMBERS, SHAPES

NOUN = re.compile(
    rf"\b(?:({'|'.join(NUMBERS[2:])}) )?(?:(large|big|small|little) )?(?:(plain|striped|dotted|spotted) )?"
    rf"({'|'.join(COLORS)}) ({'|'.join(SHAPES)})(?:es|s)?\b"
)
MEANING = {"big": "large", "little": "small", "spotted": "dotted"}


def _mentions(text):
    return [
        (count, MEANING.get(size, size), MEANING.get(texture, texture), color, shape)
        for count, size, texture, color, shape in NOUN.findall(text.lower())
    ]


def _fitting(mention, seen):
    _, size, texture, color, shape = mention
    return [
        thing
        for thing in seen
        if (thing["color"], thing["shape"]) == (color, shape)
        and size in ("", thing["size"])
        and texture in ("", thing["texture"])
    ]


def test_whatever_a_caption_names_is_there(read, described):
    for image in read("captions/dataset_scenes.json")["images"]:
        seen = described[image["cocoid"]]["seen"]
        assert len(image["sentences"]) == 5  # issue 3: five captions
        for sentence in image["sentences"]:
            mentions = _mentions(sentence["raw"])
            assert mentions, sentence["raw"]
            for mention in mentions:
                fitting = _fitting(mention, seen)
                assert fitting, sentence["raw"]
                if mention[0]:
                    assert len(fitting) == NUMBERS.index(mention[0])


def test_from_left_to_right_is_the_order(read, described):
    checked = 0
    for image in read("captions/dataset_scenes.json")["images"]:
        for sentence in image["sentences"]:
            if sentence["raw"].startswith("From left to right"):
                ordered = sorted(described[image["cocoid"]]["seen"], key=lambda thing: thing["x"])
                named = [mention[3:] for mention in _mentions(sentence["raw"])]
                assert named == [(thing["color"], thing["shape"]) for thing in ordered]
                checked += 1
    assert checked > 100


def test_relations_hold(read, described):
    """`A left of B`: some A is left of some B; both words of the sentence name an object of the picture."""
    holds = {
        "left of": lambda one, other: one["x"] < other["x"],
        "right of": lambda one, other: one["x"] > other["x"],
        "above": lambda one, other: one["y"] < other["y"],
        "below": lambda one, other: one["y"] > other["y"],
        "under": lambda one, other: one["y"] > other["y"],
    }
    seen_words = Counter()
    for image in read("captions/dataset_scenes.json")["images"]:
        seen = described[image["cocoid"]]["seen"]
        for sentence in image["sentences"]:
            word = next((word for word in holds if f" {word} " in sentence["raw"]), None)
            if word:
                one, other = (_fitting(mention, seen) for mention in _mentions(sentence["raw"]))
                assert any(holds[word](first, second) for first in one for second in other), sentence["raw"]
                seen_words[word] += 1
    assert set(seen_words) == set(holds)


def test_counts_and_grounds_are_true(read, described):
    for image in read("captions/dataset_scenes.json")["images"]:
        row = described[image["cocoid"]]
        for sentence in image["sentences"]:
            counted = re.match(r"(\w+) (?:objects|shapes|things)\b", sentence["raw"])
            if counted:
                assert NUMBERS.index(counted[1].lower()) == len(row["seen"])
            ground = re.search(r"on a (plain|cluttered) ground", sentence["raw"])
            if ground:
                assert (ground[1] == "plain") == (row["clutter"] is None)


def test_captions_vary_and_some_are_partial(read, described):
    captions = [
        (len(_mentions(sentence["raw"])), len(described[image["cocoid"]]["seen"]), sentence["raw"])
        for image in read("captions/dataset_scenes.json")["images"]
        for sentence in image["sentences"]
    ]
    assert len({raw for _, _, raw in captions}) > 0.9 * len(captions)
    assert 0.2 < sum(named < shown for named, shown, _ in captions) / len(captions) < 0.8


def test_region_phrases_fit_what_their_box_holds(read, described):
    for row in read("visual_genome/region_descriptions.json"):
        seen = described[row["id"]]["seen"]
        for region in row["regions"]:
            box = [region[key] for key in ("x", "y", "width", "height")]
            mentions = _mentions(region["phrase"])
            if len(mentions) == 1:
                assert any(thing["box"] == box for thing in _fitting(mentions[0], seen)), region
            else:
                corners = [(thing, thing["box"][0], thing["box"][1]) for thing in seen]
                assert box[0] in {x for _, x, _ in corners} and box[1] in {y for _, _, y in corners}
