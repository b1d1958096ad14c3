"""Rows `mixed`: a sentence as it is, and once more with patches of pictures in place of some words (VLMixer's CMC).

Patches have their place in a picture and none in the row, so that their order there does not matter: a mixed sentence
is a text with explicit positions beside regions.

Legend: B rows, R patches, L tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from vlzoo.batch import Batch, Text
from vlzoo.data.features import Features, padded
from vlzoo.data.pairs import Item, Pairs
from vlzoo.data.records import Sample
from vlzoo.data.visit import Visit
from vlzoo.data_parts import Mixer, Swap
from vlzoo.door.plugins import registry
from vlzoo.draws import IGNORED
from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.text.tokenizer import Place

if TYPE_CHECKING:
    from vlzoo.data.collate import Collator

MIXED, PATCHES = "mixed", "patches"
"""The text view of what is left of a sentence, and the picture that its patches are."""

POSITIONS = ("sentence", "row")


@dataclass
class MixedItem(Item):
    """A sentence made ready to be mixed.

    Attributes:
        rng: draws the words that are replaced and their patches: of seed, epoch and sample.
    """

    rng: np.random.Generator = field(default_factory=np.random.default_rng)


@dataclass(frozen=True)
class Line:
    """A mixed sentence.

    Attributes:
        ids: of the tokens that are left.
        positions: where each of them stands.
        words: the word that each belongs to, -1 at special ones.
        patches: what stands in place of words.
        labels: for each patch the first piece of the word that it stands for.
        shares: what each patch counts, so that a word counts once.
        places: where each patch's word stood, or would stand in the row.
    """

    ids: list[int]
    positions: list[int]
    words: list[int]
    patches: Features
    labels: list[int]
    shares: list[float]
    places: list[int]


class Mixed(Pairs):
    """A sentence is a row: `text` as it is, `mixed` without the words that are replaced, and the picture `patches`.

    Both are no longer than the tokenizer's `max_length`. Words come first; what room they leave is shared evenly among
    the words that are replaced. `extra["patch_label"]` [B, R] has the id of the first piece of the word that a patch
    stands for, `IGNORED` where there is none; `extra["patch_share"]` [B, R] shares that sum to one for each word.

    Args:
        mixer: the part that replaces words, with its options: `{part: cmc, gallery: FOLDER}`.
        positions: where a word of the mixed sentence stands: `sentence`: where it stood in the sentence, so that a
            replaced word leaves a gap (our reading: the paper does not say); `row`: behind the patches before it.
        patch_places: tell the image encoder where the patches' words stood; it must read places.
        equal_texts: as of `pairs`.

    Raises:
        UnknownName: an option has another value.
    """

    def __init__(
        self,
        *,
        mixer: Mapping[str, Any] | str,
        positions: Literal["sentence", "row"] = "sentence",
        patch_places: bool = False,
        equal_texts: Literal["alike", "negative"] = "alike",
    ) -> None:
        super().__init__(equal_texts=equal_texts)
        if positions not in POSITIONS:
            fix = did_you_mean(str(positions), POSITIONS, what="choices")
            raise UnknownName(f"positions can't be {positions!r}", where="rows mixed", fix=fix)
        named = {"part": mixer} if isinstance(mixer, str) else dict(mixer)
        if not isinstance(named.get("part"), str):
            fix = "`vlzoo list mixer` shows what there is: `mixer: {part: cmc, gallery: FOLDER}`"
            raise VlzooError(f"{mixer!r} names no mixer", where="rows mixed", fix=fix)
        self.mixer: Mixer = registry().build("mixer", named.pop("part"), **named)
        self.counts, self.patch_places = positions, patch_places

    def open(self, root: Path | None = None, width: int | None = None) -> None:
        """Open what the mixer takes patches from."""
        self.mixer.open(root, width)

    def make(self, sample: Sample, visit: Visit) -> MixedItem:
        """One of the sample's texts, with what draws for it."""
        item = super().make(sample, visit)
        return MixedItem(item.key, item.sample, item.levels, item.text, item.references, visit.rng)

    def collate(self, items: Sequence[Any], collator: Collator) -> Batch:
        """As `pairs`, with the mixed sentences and their patches."""
        batch = super().collate(items, collator)
        lines = [self.line(collator.clean(item.text), item.rng, collator) for item in items]
        patches: dict[str, Any] = {
            name: torch.from_numpy(held) for name, held in padded([line.patches for line in lines]).items()
        }
        wide = patches["mask"].shape[1]
        if self.patch_places:
            patches["places"] = _padded([line.places for line in lines], wide, 0)
        extra = {
            "patch_label": _padded([line.labels for line in lines], wide, IGNORED),
            "patch_share": _padded([line.shares for line in lines], wide, 0.0),
        }
        return replace(
            batch,
            images={**batch.images, PATCHES: patches},
            texts={**batch.texts, MIXED: _text(lines, collator)},
            extra={**batch.extra, **extra},
        )

    def whole(self) -> Pairs:
        """What is measured are sentences as they are."""
        return Pairs(equal_texts=self.equal_texts)

    def line(self, text: str, rng: np.random.Generator, collator: Collator) -> Line:
        """A cleaned sentence, mixed."""
        tokenizer = collator.tokenizer
        ids, places = tokenizer.encode(text), tokenizer.places(text)
        swaps = {swap: _tokens(swap, places) for swap in self.mixer.mix(text, rng)}
        swaps = {swap: at for swap, at in swaps.items() if at}  # a word behind the cut is gone
        removed = {token: swap for swap, at in swaps.items() for token in at}
        left = tokenizer.max_length - (len(ids) - len(removed))
        counts = dict(zip(swaps, shared_room([len(swap.patches.features) for swap in swaps], left), strict=True))
        kept = [token for token in range(len(ids)) if token not in removed]
        row = dict(self._row(len(ids), removed, counts))
        first = {swap: at[0] for swap, at in swaps.items()}
        where = row if self.counts == "row" else {token: token for token in row}
        return Line(
            ids=[ids[token] for token in kept],
            positions=[where[token] for token in kept],
            words=[places[token].word for token in kept],
            patches=_together(counts, self.mixer.width),
            labels=[ids[first[swap]] for swap, n in counts.items() for _ in range(n)],
            shares=[1 / n for n in counts.values() for _ in range(n)],
            places=[
                where[first[swap]] + (slot if self.counts == "row" else 0)
                for swap, n in counts.items()
                for slot in range(n)
            ],
        )

    @staticmethod
    def _row(length: int, removed: Mapping[int, Swap], counts: Mapping[Swap, int]) -> Iterator[tuple[int, int]]:
        """Where each token stands, or the first patch of its word, where words and patches are counted in a row."""
        place, begun = 0, set[int]()
        for token in range(length):
            swap = removed.get(token)
            if swap is None:
                yield token, place
                place += 1
            elif id(swap) not in begun:
                begun.add(id(swap))
                yield token, place
                place += counts[swap]


def shared_room(wanted: Sequence[int], room: int) -> list[int]:
    """What each of several gets of some room: as evenly as can be, and none more than it wants.

    >>> shared_room([15, 15, 2], 20), shared_room([15, 3], 80), shared_room([], 5)
    ([9, 9, 2], [15, 3], [])
    """
    given = [0] * len(wanted)
    while room > 0 and (open_ := [at for at, most in enumerate(wanted) if given[at] < most]):
        for at in open_[:room]:
            given[at] += 1
        room -= len(open_[:room])
    return given


def _tokens(swap: Swap, places: Sequence[Place]) -> list[int]:
    """The tokens of a text that lie in the words replaced."""
    inside = (at for at, place in enumerate(places) if swap.start <= place.start and place.end <= swap.end)
    return [at for at in inside if places[at].word >= 0]


def _together(counts: Mapping[Swap, int], width: int) -> Features:
    """The first patches of each word, so many as have room."""
    features = [np.zeros((0, width), np.float32), *(swap.patches.features[:n] for swap, n in counts.items())]
    boxes = [np.zeros((0, 4), np.float32), *(swap.patches.boxes[:n] for swap, n in counts.items())]
    return Features(np.concatenate(features), np.concatenate(boxes))


def _text(lines: Sequence[Line], collator: Collator) -> Text:
    text = collator.tokenizer.pad([line.ids for line in lines])
    length = text.ids.shape[1]
    positions, words = (
        _padded([getattr(line, name) for line in lines], length, fill)
        for name, fill in (("positions", 0), ("words", -1))
    )
    return replace(text, positions=positions, word=words)


def _padded(rows: Sequence[Sequence[Any]], length: int, fill: float) -> torch.Tensor:
    """Rows of numbers as a tensor [B, length], filled up at the end."""
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows]).reshape(len(rows), length)
