"""BLEU, ROUGE-L and CIDEr-D of captions, equal to the COCO caption evaluation's (`pycocoevalcap`), without Java.

Legend: N pictures, n longest n-gram.

Captions are given as words with single blanks between, as `spoken` makes them of texts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlzoo.metrics.ptb import ptb_words

Floats = NDArray[np.float64]
Gram = tuple[str, ...]

LONGEST = 4
"""N-grams of 1 ... 4 words count, in BLEU and in CIDEr."""

SIGMA = 6.0
"""Width of CIDEr-D's penalty for another length, in words (Vedantam et al., CVPR 2015, section 6)."""

BETA = 1.2
"""Weight of recall over precision in ROUGE-L, as the COCO caption evaluation has it."""


def spoken(texts: Sequence[str]) -> list[str]:
    """Captions as words in lower case with blanks between, without punctuation.

    The official program reads all captions as one file and looks into the next line to tell where a sentence ends, so
    the order of texts may change a full stop.

    >>> spoken(["A dog's toy.", "Two cats, sleeping"])
    ["a dog 's toy", 'two cats sleeping']
    """
    after = [*texts[1:], ""]
    return [" ".join(ptb_words(text, following)) for text, following in zip(texts, after, strict=True)]


def bleu_counts(said: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """What BLEU adds up over pictures, [N, 2 n + 2], in the order that `vlzoo.metrics.pooled.bleu` takes for n = 4.

    N-grams count as often as in the reference that has them most often; the length is that of the reference that comes
    nearest, of two the shorter.

    Args:
        said: a caption a picture, [N].
        references: the captions of each picture, one at least.
    """
    return np.array([_bleu_counts(*each) for each in zip(said, references, strict=True)], dtype=np.float64)


def bleu_columns(counts: Floats, longest: int) -> Floats:
    """The counts of a shorter BLEU, [N, 2 longest + 2], out of those of BLEU-4 [N, 10]."""
    kept = [*range(longest), *range(LONGEST, LONGEST + longest), -2, -1]
    return counts[:, kept]


def rouge_l(said: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """ROUGE-L of each picture's caption, from 0 to 1, [N] (Lin, 2004).

    Of the longest common subsequences the best precision and the best recall count, of whichever references.
    """
    return np.array([_rouge_l(*each) for each in zip(said, references, strict=True)])


class CiderD:
    """CIDEr-D (Vedantam et al., CVPR 2015): tf-idf cosines of n-grams with captions of a set of pictures.

    >>> judge = CiderD([["a red dog"], ["two cats"]])
    >>> judge(["a red dog", "a red dog"], [["a red dog"], ["two cats"]]).round(3).tolist()
    [7.5, 0.0]

    Args:
        references: the captions of each picture of the set, in which an n-gram's rarity is counted: by pictures.
    """

    def __init__(self, references: Iterable[Sequence[str]]) -> None:
        found: Counter[Gram] = Counter()
        pictures = 0
        for captions in references:
            pictures += 1
            found.update({gram for caption in captions for gram in _grams(caption)})
        # What one picture has weighs as much as what none has. Of a large set that is most.
        self._pictures = {gram: count for gram, count in found.items() if count > 1}
        self._most = math.log(pictures) if pictures else 0.0

    def __call__(self, said: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """The score of each picture's caption, from 0 to 10, [N]; papers print a hundred times the mean.

        Args:
            said: a caption a picture, [N].
            references: the captions of each picture, one at least.
        """
        return np.array([self._of(*each) for each in zip(said, references, strict=True)], dtype=np.float64)

    def _of(self, said: str, references: Sequence[str]) -> float:
        ours = self._weighed(said)
        return 10.0 * sum(_likeness(ours, self._weighed(each)) for each in references) / (LONGEST * len(references))

    def _weighed(self, text: str) -> _Weighed:
        grams = _grams(text)
        made = _Weighed([{} for _ in range(LONGEST)], sum(count for gram, count in grams.items() if len(gram) == 2))
        for gram, count in grams.items():
            made.weights[len(gram) - 1][gram] = count * (self._most - math.log(self._pictures.get(gram, 1)))
        return made


class _Weighed(NamedTuple):
    """A caption as CIDEr sees it: weights of its n-grams by n - 1, and its word pairs, which stand for its length."""

    weights: list[dict[Gram, float]]
    pairs: int

    def norms(self) -> list[float]:
        return [math.sqrt(sum(weight * weight for weight in each.values())) for each in self.weights]


def _likeness(ours: _Weighed, theirs: _Weighed) -> float:
    """The cosines for n = 1 ... 4 added up, clipped to the reference's weights, less for another length."""
    total = 0.0
    norms = zip(ours.norms(), theirs.norms(), strict=True)
    for one, other, (norm, norm_other) in zip(ours.weights, theirs.weights, norms, strict=True):
        shared = sum(min(weight, other[gram]) * other[gram] for gram, weight in one.items() if gram in other)
        total += shared / (norm * norm_other) if norm and norm_other else 0.0
    return total * math.exp(-((ours.pairs - theirs.pairs) ** 2) / (2 * SIGMA**2))


def _grams(text: str) -> Counter[Gram]:
    """How often each n-gram of 1 ... 4 words stands in a text."""
    words = text.split()
    sizes = range(1, LONGEST + 1)
    return Counter(tuple(words[at : at + size]) for size in sizes for at in range(len(words) - size + 1))


def _bleu_counts(said: str, references: Sequence[str]) -> list[int]:
    ours, most = _grams(said), Counter[Gram]()
    for each in references:
        most |= _grams(each)
    length = len(said.split())
    nearest = min((len(each.split()) for each in references), key=lambda other: (abs(other - length), other))
    right = Counter({gram: min(count, most[gram]) for gram, count in ours.items()})
    sizes = range(1, LONGEST + 1)
    found = [sum(count for gram, count in right.items() if len(gram) == size) for size in sizes]
    return [*found, *(max(0, length - size + 1) for size in sizes), length, nearest]


def _rouge_l(said: str, references: Sequence[str]) -> float:
    # As the official code cuts them: an empty caption is one empty word.
    ours, theirs = said.split(" "), [each.split(" ") for each in references]
    common = [_common(ours, each) for each in theirs]
    precision = max(common) / len(ours)
    recall = max(size / len(each) for size, each in zip(common, theirs, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bits of a number (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for at, word in enumerate(ours):
        places[word] = places.get(word, 0) | 1 << at
    rows = whole = (1 << len(ours)) - 1
    for word in theirs:
        here = rows & places.get(word, 0)
        rows = (rows + here | rows - here) & whole
    return len(ours) - rows.bit_count()
