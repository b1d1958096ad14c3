"""Mixer `cmc`: cross-modal CutMix (VLMixer, Wang et al., ICML 2022). No torch here.

Legend: n patches of a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from vlzoo.data.features import Features
from vlzoo.data.roots import data_root
from vlzoo.data_parts import Mixer, Swap
from vlzoo.errors import DataError, UnknownName, did_you_mean
from vlzoo_vlmixer.gallery import CAP, LEAST, Gallery, Ints

CONTEXTS = ("sentence", "all")
_WORD = re.compile(r"\w+")


class CrossModalCutMix(Mixer):
    """Each word that is a concept of the gallery gives way, with a probability, to patches of that concept.

    Args:
        gallery: the folder that `vlzoo detect` wrote: below the data root, or as seen from here.
        r_cmc: each concept word's chance to be replaced.
        k: how many patches stand for a word; fewer where the concept has fewer, or the sentence no room.
        r_ctx: what the context counts when patches are drawn.
        context: what a patch's context is: the other detections of its picture that the sentence speaks of (our
            reading), or `all` of them.
        least: the least score of a patch.
        cap: the most patches of a concept; null: all.

    Raises:
        DataError: an option's value can't be; when it is opened: there is no gallery, or it is empty or damaged.
        UnknownName: there is no such context.
    """

    def __init__(
        self,
        *,
        gallery: str | Path,
        r_cmc: float = 0.5,
        k: int = 15,
        r_ctx: float = 0.5,
        context: Literal["sentence", "all"] = "sentence",
        least: float = LEAST,
        cap: int | None = CAP,
    ) -> None:
        if context not in CONTEXTS:
            fix = did_you_mean(str(context), CONTEXTS, what="choices")
            raise UnknownName(f"context can't be {context!r}", where="mixer cmc", fix=fix)
        if not 0 <= r_cmc <= 1:
            raise DataError(f"r_cmc {r_cmc} is no probability", where="mixer cmc", fix="0.5 is the paper's")
        if k < 1 or r_ctx < 0:
            what = f"k can't be {k}" if k < 1 else f"r_ctx can't be {r_ctx}"
            raise DataError(what, where="mixer cmc", fix="the paper has k 15 and r_ctx 0.5")
        self.folder, self.r_cmc, self.k, self.r_ctx, self.context = str(gallery), r_cmc, k, r_ctx, context
        self.least, self.cap = least, cap
        self._gallery: Gallery | None = None

    def open(self, root: Path | None = None, width: int | None = None) -> None:
        """Open the gallery, where that was not done."""
        if self._gallery is None:
            below = (root or data_root()) / self.folder
            folder = below if below.exists() else Path(self.folder)
            self._gallery = Gallery.open(folder, least=self.least, cap=self.cap, width=width)

    @property
    def gallery(self) -> Gallery:
        """The gallery."""
        self.open()
        assert self._gallery is not None
        return self._gallery

    @property
    def width(self) -> int:  # type: ignore[override]
        """Of the gallery's features."""
        return self.gallery.width

    def mix(self, text: str, rng: np.random.Generator) -> tuple[Swap, ...]:
        """The concept words that are replaced, with their patches."""
        return tuple(self._swap(start, end, rows) for start, end, rows in self.chosen(text, rng))

    def chosen(self, text: str, rng: np.random.Generator) -> Iterator[tuple[int, int, Ints]]:
        """The concept words that are replaced, by their characters, with the rows of their patches [n] as drawn."""
        words = [word.span() for word in _WORD.finditer(text)]
        found = self.gallery.find([text[start:end] for start, end in words])
        spoken = [concept for _, _, concept in found]
        drawn = rng.random(len(found)) < self.r_cmc
        for (first, behind, concept), replaced in zip(found, drawn, strict=True):
            if replaced:
                context = spoken if self.context == "sentence" else None
                # In the order in which they were drawn, so that the first of them are a draw of fewer.
                rows = self.gallery.choose(concept, context, self.k, self.r_ctx, rng)
                yield words[first][0], words[behind - 1][1], rows

    def _swap(self, start: int, end: int, rows: Ints) -> Swap:
        patches = Features(self.gallery.features(rows), self.gallery.boxes(rows)[:, :4])
        return Swap(start, end, patches, tuple(rows.tolist()))

    def pictures(self, swap: Swap) -> list[str]:
        """The files of the pictures that patches are of."""
        return self.gallery.pictures(np.asarray(swap.keys))
