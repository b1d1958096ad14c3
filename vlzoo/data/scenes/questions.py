"""Questions with ten annotators' answers.

The mix, as shares of all questions:

    yes/no 0.40   is there a COLOR object 0.12, a SHAPE 0.08, a COLOR SHAPE 0.06; is the ground cluttered 0.04;
                  is COLOR left of COLOR 0.04; are all objects of one color 0.03; is the SHAPE TEXTURE 0.03
    number 0.20   how many objects 0.10; of a color 0.05; of a shape 0.05
    other  0.40   what color is the SHAPE 0.10, the object at a side 0.07, the SIZE object 0.04;
                  what shape is the COLOR object 0.08, the object at a side 0.04; which texture 0.02;
                  small or large 0.02; left or right 0.02; top or bottom 0.01

For every question, asked of many pictures, all its answers are equally frequent. A rare answer is left out and a
scarce one bounds the number of pictures, so a small corpus holds fewer questions than asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from vlzoo.data.scenes.balance import balanced, shares
from vlzoo.data.scenes.facts import Bools, Facts, Ints
from vlzoo.data.scenes.words import ANSWERS, COLORS, SHAPES, SIDES, SIZES, TEXTURES, plural

ANNOTATORS = 10
KINDS: tuple[tuple[str, ...], ...] = (
    ("yes", "no"),
    tuple(COLORS),
    SHAPES,
    tuple(SIZES),
    TEXTURES,
    SIDES[:2],
    SIDES[2:],
)
"""Answers that annotators mistake for one another; a number is mistaken for its neighbours."""
CLEAR = 0.1
"""Least distance between two centres, or from a centre to the picture's middle, for `left` or `right` to be asked."""


@dataclass(frozen=True)
class Question:
    """One question about one picture.

    Attributes:
        row: which scene, counted in the list the facts were made of.
        text: the question.
        kind: `question_type` of VQA v2: the question's opening words.
        answer_type: `yes/no`, `number` or `other`.
        answer: the true answer.
        given: the ten annotators' answers, at least seven of them true.
    """

    row: int
    text: str
    kind: str
    answer_type: str
    answer: str
    given: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """One question in its wordings, and its answer for every scene (index into `ANSWERS`, -1: does not apply)."""

    texts: tuple[str, ...]
    answers: Ints


Family = Callable[[Facts], Iterator[Asked]]


def questions(facts: Facts, total: int, rng: Random) -> list[Question]:
    """About `total` questions on the scenes of `facts`, in random order.

    Args:
        facts: the scenes.
        total: how many are wanted over all scenes.
        rng: where the lot comes from.
    """
    made: list[Question] = []
    for kind, answer_type, share, family in FAMILIES:
        asked = list(family(facts))
        for one, quota in zip(asked, shares(round(share * total), len(asked)), strict=True):
            made.extend(_ask(one, quota, kind, answer_type, rng))
    rng.shuffle(made)
    return made


def _ask(asked: Asked, quota: int, kind: str, answer_type: str, rng: Random) -> Iterator[Question]:
    """The wordings alternate within each answer, so they tell nothing either."""
    seen: dict[int, int] = {}
    for row, label in balanced(asked.answers, quota, rng):
        turn = seen[label] = seen.get(label, -1) + 1
        answer = ANSWERS[label]
        yield Question(row, asked.texts[turn % len(asked.texts)], kind, answer_type, answer, annotate(answer, rng))


def annotate(answer: str, rng: Random) -> tuple[str, ...]:
    """Ten answers: in three of five cases all agree, else one to three annotators err within the answer's kind."""
    wrong = rng.choices((0, 1, 2, 3), (60, 20, 15, 5))[0]
    others = _confusable(answer)
    given = [answer] * (ANNOTATORS - wrong) + [rng.choice(others) for _ in range(wrong)]
    rng.shuffle(given)
    return tuple(given)


def _confusable(answer: str) -> list[str]:
    if answer.isdigit():
        return [str(number) for number in (int(answer) - 1, int(answer) + 1) if 0 <= number <= 6]
    return next([other for other in kind if other != answer] for kind in KINDS if answer in kind)


def _index(words: Sequence[str], index_N: Ints) -> Ints:
    """Indices into `words` as indices into `ANSWERS`."""
    table = np.array([*(ANSWERS.index(word) for word in words), -1])
    return table[index_N]


def _yes(true_N: Bools, applies_N: Bools | None = None) -> Ints:
    answer_N = np.where(true_N, ANSWERS.index("yes"), ANSWERS.index("no"))
    return answer_N if applies_N is None else np.where(applies_N, answer_N, -1)


def _is_there_color(facts: Facts) -> Iterator[Asked]:
    for color in COLORS:
        texts = (f"Is there a {color} object?", f"Is there a {color} thing?")
        yield Asked(texts, _yes(facts.count(color=color) > 0))


def _is_there_shape(facts: Facts) -> Iterator[Asked]:
    for shape in SHAPES:
        yield Asked((f"Is there a {shape}?", f"Is there a {shape} in the picture?"), _yes(facts.count(shape=shape) > 0))


def _is_there_pair(facts: Facts) -> Iterator[Asked]:
    for color, shape in facts.pairs:
        yield Asked((f"Is there a {color} {shape}?",), _yes(facts.count(color=color, shape=shape) > 0))


def _is_ground(facts: Facts) -> Iterator[Asked]:
    yield Asked(("Is the ground cluttered?",), _yes(facts.cluttered))
    yield Asked(("Is the ground plain?",), _yes(~facts.cluttered))


def _is_left(facts: Facts) -> Iterator[Asked]:
    place = {color: facts.position("x", facts.which(color=color)) for color in COLORS}
    for one in COLORS:
        for other in COLORS:
            if one != other:
                across_N = place[other] - place[one]
                text = f"Is the {one} object left of the {other} object?"
                yield Asked((text,), _yes(across_N > 0, np.abs(across_N) >= CLEAR))


def _one_color(facts: Facts) -> Iterator[Asked]:
    most_N = np.stack([facts.count(color=color) for color in COLORS]).max(0)
    several_N = facts.count() > 1
    yield Asked(("Are all the objects of the same color?",), _yes(most_N == facts.count(), several_N))
    yield Asked(("Are there objects of different colors?",), _yes(most_N != facts.count(), several_N))


def _is_texture(facts: Facts) -> Iterator[Asked]:
    for shape in SHAPES:
        texture_N = facts.attribute("texture", facts.which(shape=shape))
        for index, texture in enumerate(TEXTURES):
            yield Asked((f"Is the {shape} {texture}?",), _yes(texture_N == index, texture_N >= 0))


def _number(count_N: Ints) -> Ints:
    return _index(tuple(map(str, range(7))), count_N)


def _how_many(facts: Facts) -> Iterator[Asked]:
    yield Asked(("How many objects are there?", "How many objects are in the picture?"), _number(facts.count()))


def _how_many_color(facts: Facts) -> Iterator[Asked]:
    for color in COLORS:
        yield Asked((f"How many {color} objects are there?",), _number(facts.count(color=color)))


def _how_many_shape(facts: Facts) -> Iterator[Asked]:
    for shape in SHAPES:
        yield Asked((f"How many {plural(shape)} are there?",), _number(facts.count(shape=shape)))


def _color_of_shape(facts: Facts) -> Iterator[Asked]:
    for shape in SHAPES:
        color_N = facts.attribute("color", facts.which(shape=shape))
        yield Asked((f"What color is the {shape}?",), _index(tuple(COLORS), color_N))


def _color_of_size(facts: Facts) -> Iterator[Asked]:
    for size in SIZES:
        color_N = facts.attribute("color", facts.which(size=size))
        yield Asked((f"What color is the {size} object?",), _index(tuple(COLORS), color_N))


def _at_side(attribute: str, words: Sequence[str]) -> Family:
    def family(facts: Facts) -> Iterator[Asked]:
        for side in SIDES:
            value_N = facts.attribute(attribute, facts.extreme(side))
            yield Asked((f"What {attribute} is the {side}most object?",), _index(words, value_N))

    return family


def _of_color(attribute: str, words: Sequence[str], texts: Sequence[str]) -> Family:
    def family(facts: Facts) -> Iterator[Asked]:
        for color in COLORS:
            value_N = facts.attribute(attribute, facts.which(color=color))
            yield Asked(tuple(text.format(color) for text in texts), _index(words, value_N))

    return family


def _on_side(axis: str, sides: Sequence[str]) -> Family:
    def family(facts: Facts) -> Iterator[Asked]:
        for color in COLORS:
            place_N = facts.position(axis, facts.which(color=color))
            side_N = np.where(np.abs(place_N - 0.5) >= CLEAR, (place_N > 0.5).astype(np.int64), -1)
            text = f"Is the {color} object at the {sides[0]} or at the {sides[1]}?"
            yield Asked((text,), _index(sides, side_N))

    return family


FAMILIES: tuple[tuple[str, str, float, Family], ...] = (
    ("is there a", "yes/no", 0.12, _is_there_color),
    ("is there a", "yes/no", 0.08, _is_there_shape),
    ("is there a", "yes/no", 0.06, _is_there_pair),
    ("is the ground", "yes/no", 0.04, _is_ground),
    ("is the", "yes/no", 0.04, _is_left),
    ("are", "yes/no", 0.03, _one_color),
    ("is the", "yes/no", 0.03, _is_texture),
    ("how many", "number", 0.10, _how_many),
    ("how many", "number", 0.05, _how_many_color),
    ("how many", "number", 0.05, _how_many_shape),
    ("what color is the", "other", 0.10, _color_of_shape),
    ("what color is the", "other", 0.07, _at_side("color", tuple(COLORS))),
    ("what color is the", "other", 0.04, _color_of_size),
    ("what shape is the", "other", 0.08, _of_color("shape", SHAPES, ("What shape is the {} object?",))),
    ("what shape is the", "other", 0.04, _at_side("shape", SHAPES)),
    ("what texture", "other", 0.02, _of_color("texture", TEXTURES, ("What texture does the {} object have?",))),
    ("is the", "other", 0.02, _of_color("size", tuple(SIZES), ("Is the {} object small or large?",))),
    ("is the", "other", 0.02, _on_side("x", SIDES[:2])),
    ("is the", "other", 0.01, _on_side("y", SIDES[2:])),
)
"""question_type, answer_type, share of all questions, and how the family's questions are made."""
