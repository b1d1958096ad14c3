"""Which words of a Scenes caption speak of which object: read back from the caption and checked with the scene.

Captions carry no annotation, but they are generated (`vlzoo.data.scenes.phrases`): every object is named as
`[a|the|one] [size] [texture] color shape`. A name that fits exactly one visible object is that object's; names that fit
several, and plurals, are left out rather than guessed.

Kinds of words:
    object      the shape noun; its box is the object's
    attribute   size, texture and color words before it; the same box
    relation    left, right, above, below, under between two names; the smallest box around both objects, since a
                relation is to be seen in neither alone. Our definition: there is no published one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vlzoo.data.scenes.words import COLORS, SHAPES, SYNONYMS
from vlzoo.metrics.pointing import union_box
from vlzoo.text.cleaning import pre_caption

KINDS = ("object", "attribute", "relation")
Box = tuple[float, float, float, float]
Thing = Mapping[str, Any]
"""An object as a line of `scenes.jsonl` has it: color, shape, size, texture, box."""

MEANING = {word: attribute for attribute, words in SYNONYMS.items() for word in words}
"""Size and texture words -> the attribute."""
_SIZES = "|".join(word for size in ("large", "small") for word in SYNONYMS[size])
_TEXTURES = "|".join(word for texture in ("striped", "dotted", "plain") for word in SYNONYMS[texture])
NAME = re.compile(
    rf"\b(?:(?P<size>{_SIZES}) )?(?:(?P<texture>{_TEXTURES}) )?"
    rf"(?P<color>{'|'.join(COLORS)}) (?P<shape>{'|'.join(SHAPES)})\b"
)
BETWEEN = re.compile(r"(?:is )?(?:(?:to the )?(?P<side>left|right) of|(?P<level>above|below|under)) a")
"""All that stands between the two names of a relation."""


@dataclass(frozen=True)
class Spoken:
    """A word with the box it speaks of.

    Attributes:
        place: its number in the cleaned caption, from 0.
        text: the word.
        kind: one of `KINDS`.
        box: x, y, width, height in pixels.
    """

    place: int
    text: str
    kind: str
    box: Box


@dataclass(frozen=True)
class Name:
    """An object's name in a caption.

    Attributes:
        start: where it begins, in characters.
        end: where it ends.
        words: its words by what they state: color, shape, and size or texture where said.
        fits: the visible objects it fits.
    """

    start: int
    end: int
    words: Mapping[str, str]
    fits: tuple[Thing, ...]


def spoken_words(caption: str, things: Sequence[Thing]) -> list[Spoken]:
    """The words of a caption whose box is known, in order.

    Args:
        caption: as generated; it is cleaned as the model reads it.
        things: the scene's objects; those without a box are hidden.
    """
    clean = pre_caption(caption, max_words=len(caption))
    names = names_of(clean, things)
    found = [spoken for name in names if len(name.fits) == 1 for spoken in _of_name(clean, name)]
    found += _relations(clean, names)
    return sorted(found, key=lambda spoken: spoken.place)


def names_of(clean: str, things: Sequence[Thing]) -> list[Name]:
    """The objects' names in a cleaned caption, each with all visible objects it fits."""
    seen = [thing for thing in things if thing["box"]]
    names = []
    for match in NAME.finditer(clean):
        words = {key: word for key, word in match.groupdict().items() if word}
        wanted = {key: MEANING.get(word, word) for key, word in words.items()}
        fits = tuple(thing for thing in seen if all(thing[key] == value for key, value in wanted.items()))
        names.append(Name(match.start(), match.end(), words, fits))
    return names


def _of_name(clean: str, name: Name) -> Iterator[Spoken]:
    first = _place(clean, name.start)
    for offset, word in enumerate(clean[name.start : name.end].split()):
        kind = "object" if word == name.words["shape"] else "attribute"
        yield Spoken(first + offset, word, kind, tuple(map(float, name.fits[0]["box"])))  # type: ignore[arg-type]


def _relations(clean: str, names: Sequence[Name]) -> Iterator[Spoken]:
    for one, other in pairwise(names):
        between = clean[one.end : other.start].strip()
        said = BETWEEN.fullmatch(between)
        if said and len(one.fits) == len(other.fits) == 1:
            word = said["side"] or said["level"]
            place = _place(clean, one.end + clean[one.end :].index(word))
            yield Spoken(place, word, "relation", union_box([one.fits[0]["box"], other.fits[0]["box"]]))


def _place(clean: str, start: int) -> int:
    """The number of the word that begins at a character."""
    return len(clean[:start].split())
