"""Captions and region phrases of a scene, in varied English."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from vlzoo.data.scenes.scene import Scene, Thing
from vlzoo.data.scenes.words import NUMBERS, SYNONYMS, plural

OPENINGS = ("A picture of {}.", "You can see {}.", "An image with {}.", "This shows {}.", "We see {}.", "It shows {}.")
CLEAR = 0.12
"""Least distance of two centres along an axis for a relation to be said."""


def captions(scene: Scene, rng: Random) -> list[str]:
    """Five captions of what is visible: two name every object, the others a part."""
    things = scene.visible
    first = rng.choice(OPENINGS).format(everything(things, rng))
    ordered = sorted(things, key=lambda thing: thing.x)
    second = f"From left to right: {listing([noun(thing, rng) for thing in ordered])}."
    if len(things) == 1:
        second = f"Just {noun(things[0], rng)}, {place(things[0])}."
    texts = [first, second, _relation(things, rng), _counted(things, rng), _partial(scene, rng)]
    rng.shuffle(texts)
    return texts


def noun(thing: Thing, rng: Random, *, article: str = "a") -> str:
    """`a large red circle`: color and shape, and by lot the size and the texture."""
    words = [article] if article else []
    if rng.random() < 0.45:
        words.append(rng.choice(SYNONYMS[thing.size]))
    if rng.random() < (0.1 if thing.texture == "plain" else 0.5):
        words.append(rng.choice(SYNONYMS[thing.texture]))
    return " ".join([*words, thing.color, thing.shape])


def everything(things: Sequence[Thing], rng: Random) -> str:
    """All objects, equal ones counted: `two red circles and a small blue star`."""
    counts = Counter((thing.color, thing.shape) for thing in things)
    parts = []
    for (color, shape), count in counts.items():
        one = next(thing for thing in things if (thing.color, thing.shape) == (color, shape))
        parts.append(noun(one, rng) if count == 1 else f"{NUMBERS[count]} {color} {plural(shape)}")
    rng.shuffle(parts)
    return listing(parts)


def listing(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def place(thing: Thing) -> str:
    """`at the top left`, `in the middle`, `on the right`."""
    across = "left" if thing.x < 0.38 else "right" if thing.x > 0.62 else ""
    down = "top" if thing.y < 0.38 else "bottom" if thing.y > 0.62 else ""
    if across and down:
        return f"at the {down} {across}"
    if across:
        return f"on the {across}"
    return f"at the {down}" if down else "in the middle"


def relation(one: Thing, other: Thing, rng: Random) -> str | None:
    """How `one` lies to `other`, in words; None where they nearly meet."""
    ways = {
        "left": ("left of", "to the left of"),
        "right": ("right of", "to the right of"),
        "below": ("below", "under"),
    }
    where = direction(one, other)
    return where if where in (None, "above") else rng.choice(ways[where])


def direction(one: Thing, other: Thing) -> str | None:
    """`left`, `right`, `above` or `below`: how `one` lies to `other`, along the axis on which they are further apart.

    None where they nearly meet.
    """
    across, down = one.x - other.x, one.y - other.y
    if max(abs(across), abs(down)) < CLEAR:
        return None
    if abs(across) > abs(down):
        return "left" if across < 0 else "right"
    return "above" if down < 0 else "below"


def _relation(things: Sequence[Thing], rng: Random) -> str:
    one, other = rng.sample(things, 2) if len(things) > 1 else (things[0], things[0])
    how = relation(one, other, rng)
    if how is None:
        return f"There is {noun(one, rng)} {place(one)}."
    head = noun(one, rng)
    return f"{head[0].upper()}{head[1:]} {rng.choice(('', 'is '))}{how} {noun(other, rng)}."


def _counted(things: Sequence[Thing], rng: Random) -> str:
    if len(things) == 1:
        return f"A single object, {noun(things[0], rng)}."
    shown = rng.sample(things, min(len(things), 2))
    head = f"{NUMBERS[len(things)].capitalize()} {rng.choice(('objects', 'shapes', 'things'))}"
    joint = ":" if len(shown) == len(things) else ", among them"
    return f"{head}{joint} {listing([noun(thing, rng) for thing in shown])}."


def _partial(scene: Scene, rng: Random) -> str:
    things = scene.visible
    shown = rng.sample(things, min(len(things), rng.randint(1, 3)))
    text = listing([noun(thing, rng) for thing in shown])
    where = rng.choice((f"on a {'plain' if scene.clutter is None else 'cluttered'} ground", place(shown[-1])))
    return f"{text[0].upper()}{text[1:]} {where}."


def region_phrases(scene: Scene, rng: Random) -> list[tuple[tuple[int, ...], str]]:
    """Phrases with the numbers of the objects their box must hold: one or two an object, one for a pair."""
    phrases: list[tuple[tuple[int, ...], str]] = []
    shown = [number for number, thing in enumerate(scene.things) if not scene.hides(thing)]
    for number in shown:
        thing = scene.things[number]
        phrases.append(((number,), noun(thing, rng, article=rng.choice(("a", "the", "")))))
        if rng.random() < 0.4:
            phrases.append(((number,), f"{noun(thing, rng)} {place(thing)}"))
    if len(shown) > 1:
        one, other = rng.sample(shown, 2)
        how = relation(scene.things[one], scene.things[other], rng)
        if how:
            text = f"{noun(scene.things[one], rng)} {how} {noun(scene.things[other], rng)}"
            phrases.append(((one, other), text))
    return phrases
