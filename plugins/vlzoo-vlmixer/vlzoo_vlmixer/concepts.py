"""Which words of a sentence are concepts that a detector knows: case and plural folded, the longest concept first.

The folding is a few rules of English plurals. `inflect`, which does more, takes `bus`, `tennis` and `canvas` for
plurals and needs 90 microseconds a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

_PIECE = re.compile(r"\w+")
_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "people": "person",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "oxen": "ox",
    "skis": "ski",
    "taxis": "taxi",
    "lenses": "lens",
    "gases": "gas",
    "lives": "life",
} | {
    word: word[:-3] + end
    for end, words in {
        "f": "calves elves halves hooves leaves loaves scarves selves sheaves shelves thieves wolves",
        "fe": "knives wives",
    }.items()
    for word in words.split()
}
_SAME = re.compile("series|species|canvas|christmas|atlas|gas|lens|pancreas")
_KEEP_IE = re.compile(
    "brownies|cookies|dies|genies|goalies|hippies|hoodies|lies|movies|pies|rookies|selfies|smoothies|ties|veggies|zombies"
)
_KEEP_E = re.compile(
    "aches|axes|avalanches|caches|canoes|clauses|fuses|headaches|hoes|horseshoes|moustaches|mustaches|muses|oboes|shoes"
    "|snowshoes|toes|uses"
)
_ES = ("ches", "shes", "sses", "xes", "zzes", "oes")


@lru_cache(maxsize=1 << 16)
def singular(word: str) -> str:
    """A lower-case noun in its singular; what is no plural stays.

    >>> [singular(word) for word in ("trains", "women", "buses", "cherries", "bus", "glass")]
    ['train', 'woman', 'bus', 'cherry', 'bus', 'glass']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")) or _SAME.fullmatch(word):
        return word
    if word.endswith("ies") and not _KEEP_IE.fullmatch(word):
        return word[:-3] + "y"
    latin = word.endswith("uses") and not word.endswith(("ouses", "auses"))
    if (word.endswith(_ES) or latin) and not _KEEP_E.fullmatch(word):
        return word[:-2]
    return word[:-1]


def pieces(text: str) -> tuple[str, ...]:
    """A label's words, folded: `Traffic-Lights` is (`traffic`, `light`)."""
    return tuple(singular(piece) for piece in _PIECE.findall(text.lower()))


class Concepts:
    """The concepts that some labels name, and where a sentence speaks of them.

    >>> known = Concepts(["train", "traffic light", "Trains", "light"])
    >>> known.names, known.numbers
    (['light', 'traffic light', 'train'], [2, 1, 2, 0])
    >>> known.find("two trains wait at a traffic light".split())
    [(1, 2, 2), (5, 7, 1)]

    Attributes:
        names: each concept by the shortest label that names it, in order.
        numbers: for each label the number of its concept; -1 where it has no letter or digit.

    Args:
        labels: a detector's words, each once.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        said = [(pieces(label), " ".join(label.lower().split())) for label in labels]
        shortest: dict[tuple[str, ...], str] = {}
        for folded, label in sorted(said, key=lambda each: (len(each[1]), each[1])):
            if folded:
                shortest.setdefault(folded, label)
        order = sorted(shortest, key=lambda folded: (shortest[folded], folded))
        self._number = {folded: number for number, folded in enumerate(order)}
        self.names = [shortest[folded] for folded in order]
        self.numbers = [self._number.get(folded, -1) for folded, _ in said]
        self._lengths = sorted({len(folded) for folded in order}, reverse=True)

    def number(self, label: str) -> int | None:
        """The concept that a label names; None where none does."""
        return self._number.get(pieces(label))

    def find(self, words: Sequence[str]) -> list[tuple[int, int, int]]:
        """The concepts of a sentence, in order: where each begins, where it ends (the word after), its number.

        Concepts of more words are found first, those of equally many from the left; a word belongs to one of them.
        """
        folded: list[str] = []
        owner: list[int] = []
        for place, word in enumerate(words):
            of_word = (singular(word.lower()),) if word.isalnum() else pieces(word)
            folded += of_word
            owner += [place] * len(of_word)
        found: list[tuple[int, int, int]] = []
        free = [True] * len(folded)
        for length in self._lengths:
            for start in range(len(folded) - length + 1):
                end = start + length
                number = self._number.get(tuple(folded[start:end]))
                if number is None or not all(free[start:end]) or not _whole(owner, start, end):
                    continue
                free[start:end] = [False] * length
                found.append((owner[start], owner[end - 1] + 1, number))
        return sorted(found)


def _whole(owner: Sequence[int], start: int, end: int) -> bool:
    """Whether pieces make up words that are whole."""
    return (start == 0 or owner[start - 1] != owner[start]) and (end == len(owner) or owner[end] != owner[end - 1])
