"""Spans of whole words to predict, few of them, as X-VLM masks (dataset/pretrain_dataset.py).

Runs in data workers.

Legend: R rows, L text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vlzoo.batch import Text
from vlzoo.draws import IGNORED
from vlzoo.errors import VlzooError
from vlzoo.text.masking import Drawing, Masking


@dataclass(frozen=True)
class Spans(Masking):
    """A share of the tokens, at most so many, in words or short runs of words, whole ones.

    Places are gone through in random order. Each begins a run of 2 to `longest` pieces with the chance `spans`, else it
    is a run of one, and both ends grow to whole words. Where the last run overshoots, a random part of all that was
    found is kept, so that a word may be broken.

    >>> rule = Spans(probability=0.5, spans=0.0)
    >>> sorted(rule.places([-1, 0, 0, 1], np.random.default_rng(0)))  # of four tokens two, of a word with two pieces
    [1, 2]

    Args:
        probability: the share of tokens, [CLS] counted; at least one is predicted.
        most: no more are predicted.
        spans: the chance that a place begins a run of several pieces.
        longest: pieces of the longest run, before it grows to whole words.
        whole: whether runs grow to whole words.
    """

    reads_words: ClassVar[bool] = True
    probability: float = 0.25
    most: int = 8
    spans: float = 0.2
    longest: int = 3
    whole: bool = True

    def __call__(self, text: Text, drawing: Drawing) -> Text:
        """The text with tokens masked, each row by a generator of its own, and `labels`.

        Raises:
            VlzooError: the text does not say which pieces are one word.
        """
        if text.word is None:
            fix = "tokenise with `Collator.tokenise`, which numbers words where a masking reads them"
            raise VlzooError("these texts do not say which pieces are one word", fix=fix)
        ids, labels = text.ids.tolist(), torch.full_like(text.ids, IGNORED).tolist()
        words, lengths = text.word.masked_fill(text.special, -1).tolist(), text.mask.sum(1).tolist()
        seeds = drawing.uniform("-spans", 1)[:, 0].tolist()
        for row, (seed, length) in enumerate(zip(seeds, lengths, strict=True)):
            rng, given = np.random.default_rng(int(seed * 2**53)), ids[row]
            changed, places = self.masked(
                given[:length], words[row][:length], rng, vocab=drawing.vocab, mask=drawing.mask
            )
            ids[row] = changed + given[length:]
            for place in places:
                labels[row][place] = given[place]
        shape = text.ids.shape
        ids_RL, labels_RL = (torch.tensor(each, dtype=text.ids.dtype).reshape(shape) for each in (ids, labels))
        return replace(text, ids=ids_RL, labels=labels_RL)

    def chosen(self, text: Text, drawing: Drawing) -> Tensor:
        """Which tokens are to be predicted, [R, L] bool."""
        labels_RL = self(text, drawing).labels
        assert labels_RL is not None  # it is what was just made
        return labels_RL != IGNORED

    def masked(
        self, ids: Sequence[int], words: Sequence[int], rng: np.random.Generator, *, vocab: int, mask: int
    ) -> tuple[list[int], list[int]]:
        """Ids of one text with some changed, and the places that are to be predicted, in the order they were drawn.

        Args:
            ids: of one text without padding, [CLS] first.
            words: the word that each belongs to; -1 at what is never predicted.
            rng: where all randomness comes from.
            vocab: number of ids.
            mask: id of [MASK].
        """
        changed, places = list(ids), self.places(words, rng)
        for place in places:
            if rng.random() < 0.8:
                changed[place] = mask
            elif rng.random() < 0.5:
                changed[place] = int(rng.integers(vocab))
        return changed, places

    def places(self, words: Sequence[int], rng: np.random.Generator) -> list[int]:
        """The places of one text that are to be predicted; the first token never."""
        wanted = min(self.most, max(1, round(len(words) * self.probability)))
        starts = list(range(1, len(words)))
        rng.shuffle(starts)
        found: set[int] = set()
        for start in starts:
            if len(found) >= wanted:
                break
            if start not in found:
                found.update(self._run(start, words, rng))
        places = list(found)
        if len(places) > wanted:
            rng.shuffle(places)
        return places[:wanted]

    def _run(self, start: int, words: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
        end = start + 1
        if self.spans > 0 and self.longest > 1 and rng.random() < self.spans:
            end = start + int(rng.integers(2, self.longest + 1))
        if self.whole:
            while _goes_on(words, start):
                start -= 1
            while _goes_on(words, end):
                end += 1
        for place in range(start, min(end, len(words))):
            if words[place] < 0:
                return
            yield place


def _goes_on(words: Sequence[int], place: int) -> bool:
    """Whether the piece at a place is of the same word as the one before it."""
    return 0 < place < len(words) and words[place] == words[place - 1] >= 0
