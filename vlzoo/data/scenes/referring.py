"""Referring expressions: phrases that fit exactly one visible object of a scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from vlzoo.data.scenes.scene import Scene, Thing

MARGIN = 0.06
"""How far the object meant must lead the next one for `leftmost`, or clear the landmark for `left of`."""

Rank = Callable[[Thing], float]
EXTREMES: dict[str, Rank] = {
    "leftmost": lambda thing: thing.x,
    "rightmost": lambda thing: -thing.x,
    "topmost": lambda thing: thing.y,
    "bottommost": lambda thing: -thing.y,
}
"""Superlative -> a coordinate of which the object meant has the least."""
RELATIONS = {"left of": "leftmost", "right of": "rightmost", "above": "topmost", "below": "bottommost"}

KINDS = (("shape",), ("color",), ("color", "shape"), ("size", "shape"), ("size", "color"), ("texture", "shape"))


def expressions(scene: Scene, rng: Random, *, most: int = 3) -> list[tuple[int, list[str]]]:
    """For each visible object that can be singled out, its number and up to `most` expressions."""
    things = scene.visible
    found = []
    for number, thing in enumerate(scene.things):
        texts = sorted(set(_candidates(thing, things))) if thing in things else []
        if texts:
            found.append((number, rng.sample(texts, min(most, len(texts)))))
    return found


def _candidates(thing: Thing, things: Sequence[Thing]) -> Iterator[str]:
    for kind in KINDS:
        alike = _alike(thing, things, kind)
        name = _name(thing, kind)
        if len(alike) == 1:
            yield f"the {name}"
        if len(kind) == 1:
            others = [other for other in alike if other is not thing]
            yield from _extremes(thing, others, name)
            yield from _relations(thing, others, things, name)
    yield from _extremes(thing, [other for other in things if other is not thing], "object")


def _alike(thing: Thing, things: Sequence[Thing], kind: Sequence[str]) -> list[Thing]:
    found = list(things)
    for key in kind:
        value = getattr(thing, key)
        found = [other for other in found if getattr(other, key) == value]
    return found


def _name(thing: Thing, kind: Sequence[str]) -> str:
    words = [getattr(thing, key) for key in kind]
    return " ".join(words if "shape" in kind else [*words, "object"])


def _extremes(thing: Thing, others: Sequence[Thing], name: str) -> Iterator[str]:
    for word, order in EXTREMES.items():
        if others and order(thing) + MARGIN <= min(order(other) for other in others):
            yield f"the {word} {name}"


def _relations(thing: Thing, others: Sequence[Thing], things: Sequence[Thing], name: str) -> Iterator[str]:
    """`the circle left of the red square`: the landmark is unique, and no other circle is left of it."""
    if not others:
        return
    for mark in things:
        if mark is thing or mark in others or len(_alike(mark, things, ("color", "shape"))) > 1:
            continue
        for words, extreme in RELATIONS.items():
            order = EXTREMES[extreme]
            if order(thing) + MARGIN <= order(mark) <= min(order(other) for other in others):
                yield f"the {name} {words} the {mark.color} {mark.shape}"
