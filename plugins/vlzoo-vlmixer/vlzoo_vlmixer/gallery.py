"""A gallery of patches: what a detector found in a set of pictures, by concept. No torch here.

VLMixer (Wang et al., ICML 2022): a word of a sentence gives way to patches of its concept, drawn with

    p_i = c_i + (r_ctx / |G_i|) * the sum of c over G_i

c_i being how sure the detector is of patch i, G_i the other detections of its picture: those whose concept occurs in
the sentence (our reading), or all of them. Features and boxes stay on disk, mapped into memory.

Legend: N regions of all pictures, P pictures, n rows, F width of a feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.features import Features
from vlzoo.errors import DataError
from vlzoo.hashing import mix
from vlzoo_vlmixer.concepts import Concepts
from vlzoo_vlmixer.regions import Regions, open_regions
from vlzoo_vlmixer.sampling import draw

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]
LEAST, CAP = 0.2, 1000
"""The least score of a patch, as VinVL's files have it, and the most patches of a concept."""


@dataclass(frozen=True)
class _Table:
    """Rows by concept: those of concept c are `rows[starts[c]:starts[c + 1]]`, by picture."""

    rows: Ints
    starts: Ints

    def of(self, concept: int) -> slice:
        return slice(int(self.starts[concept]), int(self.starts[concept + 1]))


class Gallery:
    """Patches by concept.

    >>> gallery = Gallery.open(folder)
    >>> gallery.concepts, gallery.width, len(gallery)
    (['cat', 'dog'], 4, 3)
    >>> rows = gallery.choose(0, [1], k=15, r_ctx=0.5, rng=np.random.default_rng(0))
    >>> gallery.features(rows).shape, gallery.boxes(rows).shape
    ((2, 4), (2, 6))

    Attributes:
        regions: everything that was detected, whatever its score.
        least: the least score of a patch.
        cap: the most patches of a concept; None: all.
    """

    def __init__(self, regions: Regions, *, least: float = LEAST, cap: int | None = CAP) -> None:
        self.regions, self.least, self.cap = regions, least, cap
        self._known = Concepts(regions.labels)
        numbers = np.array([*self._known.numbers, -1], np.int32)
        self._concept_N = np.where(regions.scores >= least, numbers[regions.label_numbers], -1)
        self._patches = self._by_concept()
        score = regions.scores[self._patches.rows].astype(np.float64)
        self._sums, self._score = np.concatenate([[0.0], np.cumsum(score)]), score
        if not len(self):
            what = f"an empty gallery: of {len(regions.scores):,} regions none has a score of {least} and a label"
            fix = "lower the least score, or detect with another detector, or in other pictures"
            raise DataError(what, where=str(regions.folder), fix=fix)

    @classmethod
    def open(
        cls, folder: str | Path, *, least: float = LEAST, cap: int | None = CAP, width: int | None = None
    ) -> Gallery:
        """A gallery that `vlzoo detect` wrote.

        Args:
            folder: its folder.
            least: the least score of a patch, from 0 to 1.
            cap: the most patches of a concept, spread over as many pictures as can be; None: all.
            width: F that the model reads; None: any.

        Raises:
            DataError: there is none, it is empty, cut off in the middle of writing, or of another width.
        """
        if not 0 <= least <= 1:
            raise DataError(f"the least score can't be {least}", where=str(folder), fix="give one from 0 to 1")
        if cap is not None and cap < 1:
            raise DataError(f"the cap of a concept can't be {cap}", where=str(folder), fix="give 1 or more")
        regions = open_regions(Path(folder))
        if width is not None and width != regions.width:
            what = f"the gallery's features are {regions.width} wide, and the encoder was made for {width}"
            fix = f"set the encoder's option features: {regions.width}, or detect with another detector"
            raise DataError(what, where=str(folder), fix=fix)
        return cls(regions, least=least, cap=cap)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        # Data workers map the same files again.
        return partial(Gallery.open, least=self.least, cap=self.cap), (str(self.regions.folder),)

    def __len__(self) -> int:
        """How many patches there are to choose from."""
        return len(self._patches.rows)

    @property
    def width(self) -> int:
        """F."""
        return self.regions.width

    @property
    def concepts(self) -> list[str]:
        """The concepts by number; some may have no patch."""
        return self._known.names

    @property
    def counts(self) -> Ints:
        """How many patches each concept has, [concepts]."""
        return np.diff(self._patches.starts)

    def number(self, label: str) -> int | None:
        """The concept of a label, plural and case folded; None where there is none."""
        return self._known.number(label)

    def find(self, words: Sequence[str]) -> list[tuple[int, int, int]]:
        """The concepts that a sentence speaks of and that have patches: start, end (the word after), concept.

        Plural and case are folded, concepts of more words found first.
        """
        found, starts = self._known.find(words), self._patches.starts
        return [each for each in found if starts[each[2] + 1] > starts[each[2]]]

    def choose(
        self, concept: int, context: Sequence[int] | None, k: int, r_ctx: float, rng: np.random.Generator
    ) -> Ints:
        """Rows of `k` patches of a concept, without replacement; all there are where it has no more.

        Args:
            concept: its number.
            context: the concepts of the sentence, itself or not; None: all other detections of a patch's picture
                count as its context.
            k: how many.
            r_ctx: what the context counts.
            rng: what draws.
        """
        at = self._patches.of(concept)
        if not r_ctx or (context is not None and not {*context} - {concept}):
            return self._patches.rows[at][draw(self._sums[at.start + 1 : at.stop + 1], k, rng, self._sums[at.start])]
        return self._patches.rows[at][draw(self.weights(concept, context, r_ctx).cumsum(), k, rng)]

    def weights(self, concept: int, context: Sequence[int] | None, r_ctx: float) -> Floats:
        """p_i of the patches of a concept, not normalised, [n]; in the order of `rows_of`."""
        at = self._patches.of(concept)
        rows = self._patches.rows[at]
        if not r_ctx:
            return self._score[at]
        others = None if context is None else [each for each in dict.fromkeys(context) if each != concept]
        total, count = self._all(rows) if others is None else self._context(rows, others)
        return self._score[at] + r_ctx * total / np.maximum(count, 1)

    def rows_of(self, concept: int) -> Ints:
        """The rows of all patches of a concept, [n]."""
        return self._patches.rows[self._patches.of(concept)]

    # What a row is.

    def features(self, rows: Ints) -> NDArray[np.float32]:
        """Features, [n, F]."""
        return self.regions.features(rows)

    def boxes(self, rows: Ints) -> NDArray[np.float32]:
        """Boxes as x1/W, y1/H, x2/W, y2/H, w/W, h/H, [n, 6]."""
        corner = self.regions.boxes(rows)
        return np.concatenate([corner, corner[:, 2:] - corner[:, :2]], axis=1)

    def image_ids(self, rows: Ints) -> list[str]:
        """Ids of the pictures that patches are of; length n."""
        return self.regions.of_pictures("image_id", rows)

    def pictures(self, rows: Ints) -> list[str]:
        """Where the pictures lie that patches are of; length n."""
        return self.regions.of_pictures("picture", rows)

    def scores(self, rows: Ints) -> NDArray[np.float32]:
        """How sure the detector is, [n]."""
        return self.regions.scores[rows]

    # Contexts.

    @cached_property
    def _together(self) -> tuple[Ints, Ints, Floats, Ints]:
        """By concept the pictures that show it, with the sum and the number of its scores there; and where each begins.

        Whatever a concept's cap leaves out is still a context of others.
        """
        known = np.flatnonzero(self._concept_N >= 0)
        pictures = len(self.regions.starts) - 1
        place = self._concept_N[known].astype(np.int64) * pictures + self.regions.picture_numbers[known]
        met, which = np.unique(place, return_inverse=True)
        sums = np.bincount(which, self.regions.scores[known], len(met)).astype(np.float64)
        starts = np.searchsorted(met, np.arange(len(self.concepts) + 1) * pictures)
        # The kind of number that regions have their pictures in: searching converts nothing.
        return (met % pictures).astype(np.int32), starts, sums, np.bincount(which, minlength=len(met))

    def _context(self, rows: Ints, context: Sequence[int]) -> tuple[Floats, Floats]:
        pictures, starts, sums, counts = self._together
        own = self.regions.picture_numbers[rows]
        total, count = np.zeros(len(rows)), np.zeros(len(rows))
        for concept in context:
            showing = slice(int(starts[concept]), int(starts[concept + 1]))
            if showing.start == showing.stop:
                continue
            place = pictures[showing].searchsorted(own) + showing.start
            np.minimum(place, showing.stop - 1, out=place)
            met = np.flatnonzero(pictures[place] == own)
            total[met] += sums[place[met]]
            count[met] += counts[place[met]]
        return total, count

    def _all(self, rows: Ints) -> tuple[Floats, Floats]:
        sums, counts = self._in_picture
        own = self.regions.picture_numbers[rows]
        return sums[own] - self.regions.scores[rows], (counts[own] - 1).astype(np.float64)

    @cached_property
    def _in_picture(self) -> tuple[Floats, Ints]:
        known = np.flatnonzero(self._concept_N >= 0)
        own, most = self.regions.picture_numbers[known], len(self.regions.starts) - 1
        sums = np.bincount(own, self.regions.scores[known], most).astype(np.float64)
        return sums, np.bincount(own, minlength=most)

    def _by_concept(self) -> _Table:
        """Rows of each concept, by picture, no more of one than the cap: of each picture its surest first."""
        rows = np.flatnonzero(self._concept_N >= 0)
        concept, picture = self._concept_N[rows], self.regions.picture_numbers[rows]
        if self.cap is not None and len(rows):
            rows = rows[_spread(concept, picture, self.regions.scores[rows], self.cap)]
            concept, picture = self._concept_N[rows], self.regions.picture_numbers[rows]
        order = np.lexsort((rows, picture, concept))
        starts = np.searchsorted(concept[order], np.arange(len(self.concepts) + 1))
        return _Table(rows[order].astype(np.int64), starts.astype(np.int64))

    def of_picture(self, source: str, image_id: str, picture: str) -> Features:
        """All that was detected in a picture."""
        return self.regions.of_picture(source, image_id, picture)


def _spread(concept: Ints, picture: Ints, score: NDArray[np.float32], cap: int) -> Ints:
    """Which patches are kept, at most `cap` a concept: the surest of each picture, then second ones, and so on.

    Of pictures that have equally many, those go first that a hash puts first.
    """
    by_picture = np.lexsort((-score, picture, concept))
    same = (np.diff(concept[by_picture]) == 0) & (np.diff(picture[by_picture]) == 0)
    turn = np.empty(len(concept), np.int64)
    turn[by_picture] = _count_up(same)
    order = np.lexsort((mix(picture), turn, concept))
    return order[_count_up(np.diff(concept[order]) == 0) < cap]


def _count_up(same: NDArray[np.bool_]) -> Ints:
    """Numbers from 0 that begin anew wherever an element is not the same as the one before it."""
    place = np.arange(len(same) + 1)
    first = np.concatenate([[True], ~same])[: len(place)]
    return place - np.maximum.accumulate(np.where(first, place, 0))
