"""Premise pictures with hypotheses that follow, contradict, or are left open, as in SNLI-VE.

Half of the premise pictures have a curtain over a part, and what lies behind it cannot be known. "There is a red
circle" is entailed where one is seen, contradicted where all is seen and there is none, and neutral where none is seen
but a curtain may hide one; "there is no red circle" is the reverse. Every hypothesis occurs equally often in the three
classes, so its words tell nothing about its class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np

from vlzoo.data.scenes.balance import balanced
from vlzoo.data.scenes.facts import Bools, Facts, Ints
from vlzoo.data.scenes.words import COLORS, NUMBERS, SHAPES, TEXTURES, TRAIN_PAIRS

CLASSES = ("entailment", "neutral", "contradiction")
ENTAILED, NEUTRAL, CONTRADICTED = range(3)


@dataclass(frozen=True)
class Hypothesis:
    """One sentence about one premise picture.

    Attributes:
        row: which scene.
        text: the hypothesis.
        label: one of `CLASSES`.
    """

    row: int
    text: str
    label: str


Claim = tuple[str, Ints]
"""A hypothesis, and its class for every scene [N]."""


def hypotheses(facts: Facts, total: int, rng: Random) -> list[Hypothesis]:
    """About `total` hypotheses on the scenes of `facts`, in random order.

    Half say that there is something, a quarter that there is nothing of a kind, a quarter speak of numbers.
    """
    some = list(_existence(facts))
    none = [(weight, _absent(claim)) for weight, claim in some]
    numbers = [(1, claim) for claim in (*_at_least(facts), *_at_most(facts), *_exactly(facts))]
    made: list[Hypothesis] = []
    for share, claims in ((0.5, some), (0.25, none), (0.25, numbers)):
        unit = share * total / sum(weight for weight, _ in claims)
        for weight, (text, class_N) in claims:
            if len(np.unique(class_N)) == len(CLASSES):
                chosen = balanced(class_N, round(weight * unit), rng, whole=True)
                made.extend(Hypothesis(row, text, CLASSES[label]) for row, label in chosen)
    rng.shuffle(made)
    return made


def _existence(facts: Facts) -> Iterator[tuple[int, Claim]]:
    """Weighted claims; single attributes weigh most, since they are learned first."""
    yield from ((4, _exists(facts, f"{color} object", color=color)) for color in COLORS)
    yield from ((4, _exists(facts, shape, shape=shape)) for shape in SHAPES)
    yield from ((2, _exists(facts, f"{texture} object", texture=texture)) for texture in TEXTURES)
    weight = max(1, len(TRAIN_PAIRS) // len(facts.pairs))
    yield from ((weight, _exists(facts, f"{color} {shape}", color=color, shape=shape)) for color, shape in facts.pairs)


def _classes(entailed_N: Bools, contradicted_N: Bools) -> Ints:
    return np.where(entailed_N, ENTAILED, np.where(contradicted_N, CONTRADICTED, NEUTRAL))


def _exists(facts: Facts, text: str, **wanted: str) -> Claim:
    seen_N = facts.count(**wanted) > 0
    return f"There is a {text}.", _classes(seen_N, ~seen_N & ~facts.curtained)


def _absent(claim: Claim) -> Claim:
    """`There is no X`: entailed where `There is a X` is contradicted, and the other way round."""
    text, class_N = claim
    return text.replace("There is a ", "There is no "), CONTRADICTED - class_N


def _at_least(facts: Facts) -> Iterator[Claim]:
    for least in (2, 3, 4):
        enough_N = facts.count() >= least
        yield f"There are at least {NUMBERS[least]} objects.", _classes(enough_N, ~enough_N & ~facts.curtained)


def _at_most(facts: Facts) -> Iterator[Claim]:
    for most in (2, 3):
        too_many_N = facts.count() > most
        text = f"There are no more than {NUMBERS[most]} objects."
        yield text, _classes(~too_many_N & ~facts.curtained, too_many_N)


def _exactly(facts: Facts) -> Iterator[Claim]:
    for number in (2, 3):
        count_N, open_N = facts.count(), ~facts.curtained
        entailed_N = (count_N == number) & open_N
        contradicted_N = (count_N > number) | ((count_N != number) & open_N)
        yield f"There are exactly {NUMBERS[number]} objects.", _classes(entailed_N, contradicted_N)
