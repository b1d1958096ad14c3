"""Sentences about two pictures, true or false, as in NLVR2: each sentence has two true and two false pairs.

The four pairs of a sentence form its consistency group. Most sentences ask what one or both pictures show; a quarter
compare or add up numbers of objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from vlzoo.data.scenes.facts import Bools, Facts
from vlzoo.data.scenes.words import COLORS, NUMBERS, SHAPES

PAIRS_A_SENTENCE = 4
TRIES = 400

Truth = Callable[[int, int], bool]


@dataclass(frozen=True)
class Duo:
    """One sentence about one pair of pictures.

    Attributes:
        group: number of the sentence's consistency group.
        pair: 0 to 3, the pair within the group.
        left: row of the left scene.
        right: row of the right scene.
        sentence: the text.
        label: whether it is true.
    """

    group: int
    pair: int
    left: int
    right: int
    sentence: str
    label: bool


@dataclass(frozen=True)
class Claim:
    """A sentence, when it is true, and the scenes that make it true or false easily found.

    Attributes:
        sentence: the text.
        truth: whether it is true of a left and a right row.
        on_left: what the sentence says of the left picture; None where it compares numbers.
        on_right: likewise of the right one.
    """

    sentence: str
    truth: Truth
    on_left: Bools | None = None
    on_right: Bools | None = None


def duos(facts: Facts, groups: int, rng: Random) -> list[Duo]:
    """`groups` sentences with four pairs of scenes each.

    A sentence that the scenes cannot make both true and false is redrawn.
    """
    shown = _shown(facts)
    count_N = facts.count()
    made: list[Duo] = []
    for _ in range(groups * 4):
        if len(made) == groups * PAIRS_A_SENTENCE:
            break
        claim = _compare(count_N, rng) if rng.random() < 0.25 else _about_shown(shown, rng)
        made.extend(_group(claim, len(made) // PAIRS_A_SENTENCE, len(count_N), rng))
    return made


def _group(claim: Claim, group: int, scenes: int, rng: Random) -> list[Duo]:
    wanted = [True, True, False, False]
    rng.shuffle(wanted)
    chosen: list[tuple[int, int]] = []
    for label in wanted:
        found = _draw(claim, label, scenes, chosen, rng)
        if found is None:
            return []
        chosen.append(found)
    return [
        Duo(group, number, *rows, claim.sentence, label)
        for number, (rows, label) in enumerate(zip(chosen, wanted, strict=True))
    ]


def _draw(
    claim: Claim, label: bool, scenes: int, taken: Sequence[tuple[int, int]], rng: Random
) -> tuple[int, int] | None:
    """A pair of different scenes with that label, not drawn before; None where none was found."""
    for _ in range(TRIES):
        rows = (_row(claim.on_left, scenes, rng), _row(claim.on_right, scenes, rng))
        if rows[0] != rows[1] and rows not in taken and claim.truth(*rows) == label:
            return rows
    return None


def _row(says_N: Bools | None, scenes: int, rng: Random) -> int:
    """A scene; where the sentence says something of it, as often one that fits as one that does not."""
    wanted = rng.random() < 0.5
    for _ in range(TRIES):
        row = rng.randrange(scenes)
        if says_N is None or bool(says_N[row]) == wanted:
            return row
    return rng.randrange(scenes)


def _shown(facts: Facts) -> list[tuple[float, list[tuple[str, Bools]]]]:
    """Weight and members of each kind of thing a picture can show."""
    colors = [(f"a {color} object", facts.count(color=color) > 0) for color in COLORS]
    shapes = [(f"a {shape}", facts.count(shape=shape) > 0) for shape in SHAPES]
    both = [(f"a {color} {shape}", facts.count(color=color, shape=shape) > 0) for color, shape in facts.pairs]
    numbers = [(f"exactly {NUMBERS[1]} object", facts.count() == 1)]
    numbers += [(f"exactly {NUMBERS[number]} objects", facts.count() == number) for number in range(2, 6)]
    grounds = [("a cluttered ground", facts.cluttered), ("a plain ground", ~facts.cluttered)]
    return [(0.45, colors), (0.25, shapes), (0.1, both), (0.1, numbers), (0.1, grounds)]


def _about_shown(kinds: list[tuple[float, list[tuple[str, Bools]]]], rng: Random) -> Claim:
    def pick() -> tuple[str, Bools]:
        return rng.choice(rng.choices(kinds, [weight for weight, _ in kinds])[0][1])

    what, says_N = pick()
    form = rng.choices(("left", "right", "both", "either", "neither", "one", "mixed"), (22, 22, 16, 12, 12, 8, 8))[0]
    if form == "left":
        return Claim(f"The left picture shows {what}.", lambda left, _: bool(says_N[left]), says_N)
    if form == "right":
        return Claim(f"The right picture shows {what}.", lambda _, right: bool(says_N[right]), None, says_N)
    if form == "mixed":
        other, other_N = pick()
        sentence = f"The left picture shows {what} and the right picture shows {other}."
        return Claim(sentence, lambda left, right: bool(says_N[left] and other_N[right]), says_N, other_N)
    sentence, wanted = {
        "both": (f"Both pictures show {what}.", (2,)),
        "either": (f"At least one of the pictures shows {what}.", (1, 2)),
        "neither": (f"Neither picture shows {what}.", (0,)),
        "one": (f"Only one of the pictures shows {what}.", (1,)),
    }[form]
    return Claim(sentence, lambda left, right: int(says_N[left]) + int(says_N[right]) in wanted, says_N, says_N)


def _compare(count_N: np.ndarray, rng: Random) -> Claim:
    form = rng.choice(("more", "fewer", "same", "total"))
    if form == "more":
        sentence = "The left picture has more objects than the right picture."
        return Claim(sentence, lambda left, right: bool(count_N[left] > count_N[right]))
    if form == "fewer":
        sentence = "The left picture has fewer objects than the right picture."
        return Claim(sentence, lambda left, right: bool(count_N[left] < count_N[right]))
    if form == "same":
        sentence = "The two pictures have the same number of objects."
        return Claim(sentence, lambda left, right: bool(count_N[left] == count_N[right]))
    least = rng.randint(4, 9)
    sentence = f"There are at least {('four', 'five', 'six', 'seven', 'eight', 'nine')[least - 4]} objects in all."
    return Claim(sentence, lambda left, right: bool(count_N[left] + count_N[right] >= least))
