"""Rows `regions`: a picture, its caption and its boxes are several rows, all of one pass of the image encoder.

Legend: M pictures, R rows, H rows and columns of a picture, G cells of the encoder's grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.batch import Batch, View
from vlzoo.data.pairs import EQUAL, Pairs
from vlzoo.data.records import Sample
from vlzoo.data.visit import Look, Visit
from vlzoo.data_parts import Box, Pairing, Rows
from vlzoo.errors import DataError, UnknownName, VlzooError, did_you_mean
from vlzoo.hashing import mix, name_word, number_of
from vlzoo.processes import Share
from vlzoo_xvlm.pieces import Piece, cells, pieces_of, said_of

if TYPE_CHECKING:
    from vlzoo.data.collate import Collator
    from vlzoo.step.plan import Plan

NO_REPEATS = "none"
REGION, WHOLE = "region", "whole"
"""The views of a batch: what a row speaks of, and all of its picture."""


@dataclass
class Item:
    """One sample made ready.

    Attributes:
        key: the sample's number, for good.
        sample: the record.
        seen: levels of its picture, [H, H, 3] uint8.
        pieces: what can become rows; none where nothing usable is said.
        number: of this visit; what is drawn for a batch is drawn by its visits' numbers.
    """

    key: int
    sample: Sample
    seen: NDArray[np.uint8]
    pieces: tuple[Piece, ...]
    number: int


class Drawn(NamedTuple):
    """One row of a batch: the place of its picture among those shown, the item, the piece, and which repeat it is."""

    picture: int
    item: Item
    piece: Piece
    copy: int


class Regions(Pairs):
    """A caption and the regions of a picture are rows that read the same picture, each its own cells (X-VLM).

    A batch of S samples has R = `rows` rows, drawn among at most S * `each`; where there are fewer, some are repeated.
    Of several processes each draws its share of the rows among its own pictures.
    The pictures `image` [M, 3, H, H] are encoded once; the views `region` and `whole` say what of them each row reads.
    `extra` holds `box` [R, 4], float32 shares of the picture: centre x, centre y, width, height (a whole picture: 0.5,
    0.5, 1, 1), and `is_region` [R] bool.

    Args:
        each: most rows of a picture; its caption counts as one.
        rows: rows of a batch.
        least_inside: a box is dropped unless more than this share of its area is left in the changed picture.
        patch: side of the image encoder's cells in pixels of its input: 16 of a ViT-B/16, 32 of a Swin.
        equal_texts: what rows that say the same are to each other: `alike`, never each other's negatives; `negative`,
            unless they show the same box.
        repeats: what a row and its repeat are to each other: `alike`; `negative`, as the official code has it, to which
            every other row is a negative, whatever it shows and says; `none`: there are no repeats, and a batch may
            have fewer rows.

    Raises:
        UnknownName: `equal_texts` or `repeats` has another value.
        VlzooError: another option has a value that can't be.
    """

    def __init__(
        self,
        *,
        each: int = 5,
        rows: int = 128,
        least_inside: float = 0.5,
        patch: int = 16,
        equal_texts: Literal["alike", "negative"] = "alike",
        repeats: Literal["alike", "negative", "none"] = "alike",
    ) -> None:
        super().__init__(equal_texts=equal_texts)
        if repeats not in (*EQUAL, NO_REPEATS):
            fix = did_you_mean(str(repeats), (*EQUAL, NO_REPEATS), what="choices")
            raise UnknownName(f"repeats can't be {repeats!r}", where="rows regions", fix=fix)
        for option, value in {"each": each, "rows": rows, "patch": patch}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise _wrong(option, value, "give a whole number of at least 1")
        if not 0 <= least_inside < 1:
            raise _wrong("least_inside", least_inside, "give a share below 1; 0.5 is X-VLM's")
        self.each, self.rows, self.least_inside, self.patch = each, rows, least_inside, patch
        self.repeats = repeats

    def plan(self, plan: Plan, pairing: Pairing) -> None:
        """What objectives read of a picture is the row's region of it."""
        super().plan(plan, pairing)
        plan.main_image = (REGION,)

    def cut(self, share: Share) -> Rows:
        """Of S samples' rows this process's share: drawn among those of its own pictures."""
        if share.of == 1:
            return self
        return Regions(
            each=self.each,
            rows=share.size(self.rows),
            least_inside=self.least_inside,
            patch=self.patch,
            equal_texts=self.equal_texts,
            repeats=self.repeats,
        )

    def whole(self) -> Rows:
        """In evaluation a sample is a row."""
        return Pairs(equal_texts=self.equal_texts)

    def texts(self, sample: Sample) -> Iterable[str]:
        """The captions, and what is said of regions."""
        return (*sample.texts, *(text for region in sample.regions for text in (*region.attributes, *said_of(region))))

    def make(self, sample: Sample, visit: Visit) -> Item:  # type: ignore[override]
        """The picture changed together with all its boxes and all that is said of it, and the rows it can give.

        Raises:
            DataError: it does not show one picture, or the encoder reads a detector's regions.
        """
        if len(sample.images) != 1:
            fix = "rows `regions` need one picture a sample"
            raise DataError(f"a sample with {len(sample.images)} pictures", where=sample.name, fix=fix)
        if visit.input != "image":
            fix = "take an image encoder with a grid, a ViT or a Swin"
            raise DataError("boxes can't be found in a detector's regions", where=sample.name, fix=fix)
        said = [text for region in sample.regions for text in said_of(region)]
        look = visit.look(sample.images[0], [*sample.texts, *said], [region.box for region in sample.regions])
        pieces = tuple(self.pieces(sample, look, visit.rng))
        number = mix(visit.seed, visit.epoch or 0, name_word("rows"), visit.index)
        return Item(visit.index, sample, look.seen, pieces, int(number))  # type: ignore[arg-type]

    def pieces(self, sample: Sample, look: Look, rng: np.random.Generator) -> Iterator[Piece]:
        """What a look can give: one caption, then regions in random order of which enough is left, up to `each`."""
        return pieces_of(sample, look, rng, each=self.each, least_inside=self.least_inside)

    def samples(self, items: Sequence[Item]) -> Sequence[Sample]:
        """The sample of each row."""
        return [row.item.sample for row in self.drawn(items)]

    def drawn(self, items: Sequence[Item]) -> list[Drawn]:
        """The rows of a batch: `rows` of all pieces without replacement, or all and repeats of some.

        The order of the items does not matter.

        Raises:
            DataError: nothing usable is said of any picture.
        """
        shown = shown_of(items)
        pool = [(picture, item, piece) for picture, item in enumerate(shown) for piece in item.pieces]
        if not pool:
            names = ", ".join(item.sample.name for item in items[:3])
            raise DataError(
                "no picture of this batch has a caption, or a box with a text that can be used", where=names
            )
        found, copies = [], Counter[tuple[int, int]]()
        wanted = min(self.rows, len(pool)) if self.repeats == NO_REPEATS else self.rows
        for place in places(len(pool), wanted, self.generator(shown)):
            picture, item, piece = pool[place]
            found.append(Drawn(picture, item, piece, copies[item.key, piece.place]))
            copies[item.key, piece.place] += 1
        return found

    def generator(self, items: Sequence[Item]) -> np.random.Generator:
        """What draws the rows of a batch: it depends on the visits alone."""
        return np.random.default_rng(sorted(item.number for item in items))

    def collate(self, items: Sequence[Item], collator: Collator) -> Batch:  # type: ignore[override]
        """The batch: pictures once, and of each row its text, its picture's place, its cells and its box.

        Raises:
            DataError: nothing usable is said of any picture.
            VlzooError: the pictures do not fall into whole cells.
        """
        rows, shown = self.drawn(items), shown_of(items)
        clean = [collator.clean(row.piece.text) for row in rows]
        picture_R = torch.tensor([row.picture for row in rows])
        side = len(shown[0].seen)
        key_R = _keys(rows)
        image_id = [_identity(row.item.sample, row.piece.place) for row in rows]
        official = self.repeats == "negative"
        text_id = None if official or self.equal_texts == "negative" else [number_of(text) for text in clean]
        return Batch(
            key=key_R,
            names=[_name(row) for row in rows],
            images={"image": collator.pictures([item.seen for item in shown])},
            texts={"text": collator.tokenise(clean)},
            views={REGION: View("image", picture_R, self._cells(rows, side)), WHOLE: View("image", picture_R)},
            image_id=key_R if official else torch.tensor(image_id),
            text_id=None if text_id is None else torch.tensor(text_id),
            extra={
                "box": torch.tensor([_centred(row.piece.box, side) for row in rows], dtype=torch.float32),
                "is_region": torch.tensor([row.piece.place > 0 for row in rows]),
            },
        )

    def _cells(self, rows: Sequence[Drawn], side: int) -> Tensor:
        """Which cells each row reads, [R, G] bool."""
        if side % self.patch:
            fix = "give `patch` as the image encoder has it, and a `size` of the augmentation that it divides"
            what = f"pictures of {side} pixels do not fall into whole cells of {self.patch}"
            raise VlzooError(what, where="rows regions", fix=fix)
        return torch.from_numpy(np.stack([cells(row.piece.box, side, self.patch).reshape(-1) for row in rows]))


def shown_of(items: Iterable[Item]) -> list[Item]:
    """The items whose pictures are in a batch: those of which something is said, in the order of their keys."""
    return sorted((item for item in items if item.pieces), key=lambda item: item.key)


def places(count: int, wanted: int, rng: np.random.Generator) -> list[int]:
    """`wanted` of `count` places without replacement; of fewer all, and as many again as are missing.

    Where more than `count` are missing, places come round after round, which draws nothing.
    """
    if count >= wanted:
        return [int(place) for place in rng.choice(count, size=wanted, replace=False)]
    if wanted - count <= count:
        again = rng.choice(count, size=wanted - count, replace=False)
        return [*range(count), *(int(place) for place in again)]
    return [place % count for place in range(wanted)]


def _keys(rows: Sequence[Drawn]) -> Tensor:
    """A number of 63 bits for each row: of its sample, its place in it, and which repeat it is."""
    facts = np.array([(row.item.key, row.piece.place, row.copy) for row in rows], np.uint64)
    return torch.from_numpy((mix(*facts.T) >> np.uint64(1)).astype(np.int64))


def _identity(sample: Sample, place: int) -> int:
    """A number for a picture, that of `pairs`, or for a box of it."""
    name = sample.image_id or sample.name
    return number_of(f"{name} {sample.regions[place - 1].box}" if place else name)


def _name(row: Drawn) -> str:
    return row.item.sample.name + (f" region {row.piece.place}" if row.piece.place else "")


def _centred(box: Box, side: int) -> list[float]:
    x, y, width, height = box
    return [(x + width / 2) / side, (y + height / 2) / side, width / side, height / side]


def _wrong(option: str, value: Any, fix: str) -> VlzooError:
    return VlzooError(f"{option} can't be {value!r}", where="rows regions", fix=fix)
