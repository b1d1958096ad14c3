"""What a caption of Scenes states, and whether it is true of the picture: colors, shapes, places.

The grammar of Scenes' captions is known (`vlzoo.data.scenes.phrases`), and so is each picture's content. A caption is
read for its nouns (`two small red circles`), where they are said to be (`at the top left`) and how they lie to each
other (`left of`, `above`); what stands between is passed over.

Legend: N pictures, K kinds of statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.scenes.phrases import direction, place
from vlzoo.data.scenes.scene import Thing
from vlzoo.data.scenes.words import COLORS, NUMBERS, SHAPES, SYNONYMS, plural

KINDS = ("colors", "shapes", "objects", "looks", "numbers", "places")
"""What statements are about: a color or shape that is somewhere in the picture; both on one object; also its size and
texture; how many there are; where it is, in the picture or to another."""

_LOOK = {word: look for look, words in SYNONYMS.items() for word in words}
_SINGULAR = {form: shape for shape in SHAPES for form in (shape, plural(shape))}
_SIZE, _TEXTURE = (
    "|".join(word for word, look in _LOOK.items() if look in looks)
    for looks in (("large", "small"), ("striped", "dotted", "plain"))
)
_NOUN = re.compile(
    rf"(?:\b(?P<count>{'|'.join(NUMBERS)}) )?(?:\b(?P<size>{_SIZE}) )?(?:\b(?P<texture>{_TEXTURE}) )?"
    rf"\b(?P<color>{'|'.join(COLORS)}) (?P<shape>{'|'.join(_SINGULAR)})\b"
)
_PLACE = re.compile(r" ((?:at the (?:top|bottom)(?: left| right)?|on the (?:left|right)|in the middle)\b)(?! of)")
_DIRECTION = re.compile(r" (?:is )?(?:to the )?(left of|right of|above|below|under) (?:an? |the )?$")
_DIRECTIONS = {"left of": "left", "right of": "right", "above": "above", "below": "below", "under": "below"}


class Noun(NamedTuple):
    """An object that a caption names.

    Attributes:
        looks: its attributes as far as they are said, by name.
        number: how many are said to be there; None: one, or no number is said.
        place: where it is said to be, as `place` says it; None: nowhere.
        to: how it is said to lie to the next one, as `direction` says it; None: nothing is said.
    """

    looks: Mapping[str, str]
    number: int | None
    place: str | None
    to: str | None


@dataclass(frozen=True)
class Judged:
    """Statements of captions.

    Attributes:
        stated: of each kind, [N, K].
        true: how many of them are, [N, K].
        named: objects of each picture that its caption names by color and shape, [N].
        shown: all objects of each picture, [N].
    """

    stated: NDArray[np.int64]
    true: NDArray[np.int64]
    named: NDArray[np.int64]
    shown: NDArray[np.int64]


def nouns(caption: str) -> list[Noun]:
    """The objects that a caption names, in its order.

    >>> [(noun.looks["color"], noun.to, noun.place) for noun in nouns("A red ring left of a blue star on the right.")]
    [('red', 'left', None), ('blue', None, 'on the right')]
    """
    text = " ".join(re.findall(r"[a-z]+", caption.lower()))
    matches = list(_NOUN.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    return [_noun(match, text[match.end() : ends[at]]) for at, match in enumerate(matches)]


def _noun(match: re.Match[str], behind: str) -> Noun:
    looks = {"color": match["color"], "shape": _SINGULAR[match["shape"]]}
    looks |= {name: _LOOK[match[name]] for name in ("size", "texture") if match[name]}
    where, to = _PLACE.match(behind), _DIRECTION.match(behind)
    number = NUMBERS.index(match["count"]) if match["count"] else None
    return Noun(looks, number, where[1] if where else None, _DIRECTIONS[to[1]] if to else None)


def statements(caption: str, things: Sequence[Thing]) -> Iterator[tuple[str, bool]]:
    """Every statement of a caption: its kind, and whether it is true of a picture with these objects."""
    said = nouns(caption)
    for at, noun in enumerate(said):
        there = _that(things, color=noun.looks["color"], shape=noun.looks["shape"])
        alike = _that(things, **noun.looks)
        yield "colors", bool(_that(things, color=noun.looks["color"]))
        yield "shapes", bool(_that(things, shape=noun.looks["shape"]))
        yield "objects", bool(there)
        if len(noun.looks) > 2:
            yield "looks", bool(alike)
        if noun.number is not None:
            yield "numbers", len(alike) == noun.number
        if noun.place is not None:
            yield "places", any(place(thing) == noun.place for thing in alike)
        if noun.to is not None and at + 1 < len(said):
            others = _that(things, **said[at + 1].looks)
            yield "places", any(direction(one, other) == noun.to for one in alike for other in others)


def judged(captions: Sequence[str], pictures: Sequence[Sequence[Thing]]) -> Judged:
    """The statements of a caption a picture, [N].

    Args:
        captions: as they were written.
        pictures: the objects that each picture shows.
    """
    stated, true = (np.zeros((len(captions), len(KINDS)), dtype=np.int64) for _ in range(2))
    named = np.zeros(len(captions), dtype=np.int64)
    for row, (caption, things) in enumerate(zip(captions, pictures, strict=True)):
        for kind, right in statements(caption, things):
            stated[row, KINDS.index(kind)] += 1
            true[row, KINDS.index(kind)] += right
        pairs = {(noun.looks["color"], noun.looks["shape"]) for noun in nouns(caption)}
        named[row] = sum((thing.color, thing.shape) in pairs for thing in things)
    return Judged(stated, true, named, np.array([len(things) for things in pictures], dtype=np.int64))


def things_of(told: Sequence[Mapping[str, Any]]) -> list[Thing]:
    """A picture's objects, as the source tells them in `fields["things"]`."""
    looks = ("color", "shape", "size", "texture", "x", "y")
    return [Thing(**{name: each[name] for name in looks}, extent=0.0) for each in told]


def blind(captions: Sequence[str], pictures: Sequence[Sequence[Thing]], turns: int = 10) -> float:
    """The share of true statements, in percent, where captions are those of other pictures: what words alone give.

    Args:
        captions: a caption a picture, [N].
        pictures: the objects that each picture shows.
        turns: by how many different steps the captions are moved on.
    """
    true = stated = 0
    for turn in range(1, min(turns, len(captions) - 1) + 1):
        moved = [*captions[turn:], *captions[:turn]]
        found = judged(moved, pictures)
        true, stated = true + int(found.true.sum()), stated + int(found.stated.sum())
    return 100.0 * true / stated if stated else 0.0


def chance(pictures: Sequence[Sequence[Thing]]) -> dict[str, float]:
    """How often a color, a shape or both that are drawn by lot are in a picture, in percent."""
    colors = [len({thing.color for thing in things}) for things in pictures]
    shapes = [len({thing.shape for thing in things}) for things in pictures]
    pairs = [len({(thing.color, thing.shape) for thing in things}) for things in pictures]
    sizes = {"colors": (colors, len(COLORS)), "shapes": (shapes, len(SHAPES))}
    sizes["objects"] = (pairs, len(COLORS) * len(SHAPES))
    return {kind: 100.0 * float(np.mean(found)) / known for kind, (found, known) in sizes.items()}


def _that(things: Sequence[Thing], **looks: str) -> list[Thing]:
    """The objects that have all these attributes."""
    return [thing for thing in things if all(getattr(thing, name) == word for name, word in looks.items())]
