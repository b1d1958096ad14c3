"""NLVR v1: a sentence about a drawn picture of three boxes with shapes, true or false."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_text
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, identifier, need, optional, typed
from vlzoo.data.images import FileImage, ZipImage
from vlzoo.data.readers.nlvr import truth
from vlzoo.data.readers.task import ArchivedSource, joined
from vlzoo.data.reading import Record
from vlzoo.data.records import Region, Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError
from vlzoo.metrics.nlvr import nlvr_sentence

LAYOUT_V1 = tuple(itertools.permutations(range(3)))
"""Which box of `structured_rep` stands in which slot of picture k (k = 0..5)."""
SLOT = 150
"""Pixels from one box's left edge to the next in NLVR v1's 400 x 100 pictures."""
COLOURS_V1 = {"#0099ff": "blue", "yellow": "yellow", "black": "black"}

NLVR_CARD = Card(
    name="nlvr",
    title="NLVR v1, sentences about drawn pictures of boxes with shapes, true or false",
    licence="CC BY 4.0",
    homepage="https://lil.nlp.cornell.edu/nlvr",
    citation="Suhr, Lewis, Yeh, Artzi. A Corpus of Natural Language for Visual Reasoning. ACL 2017",
    sizes={
        "train": {"examples": 12_409, "images": 74_454},
        "dev": {"examples": 989, "images": 5_934},
        "test": {"examples": 990, "images": 5_940},
    },
    layout=(
        "{train,dev,test}/{train,dev,test}.json                       json lines, or dev.jsonl in the root",
        "{train,dev,test}/images/<directory>/dev-1572-0-0.png         six pictures an example, or",
        "{train,dev,test}_images.zip                                  all of a split in one archive",
    ),
    get="the folder nlvr/ of github.com/lil-lab/nlvr",
    note="each example has six pictures with its boxes in another order: six samples, in one `group` with its sentence",
)


class Nlvr(ArchivedSource):
    """NLVR v1: one sample for each of an example's six pictures."""

    card = NLVR_CARD
    splits: ClassVar[tuple[str, ...]] = ("train", "dev", "test")
    columns: ClassVar[dict[str, str]] = {
        **{"id": "str", "image": "int", "sentence": "str", "label": "str", "path": "str", "scene": "str"},
    }

    def file(self) -> str:
        """The file of examples below the root."""
        return self.located(f"{self.split}.jsonl", f"{self.split}/{self.split}.json", f"{self.split}.json")

    def files(self) -> Sequence[Expected]:
        """The annotations, and the archive or folder of pictures."""
        return self.expected([Expected(self.file(), "the examples, as json lines")])

    def records(self, faults: Faults) -> Iterator[Record]:
        """Six rows an example.

        Raises:
            DataError: an identifier twice, or a label that is neither true nor false.
        """
        for name, label, row, where in _examples(read_rows(self.place(self.file()))):
            if (text := clean_text(need(row, "sentence", str, where), where, faults, what="sentence")) is None:
                continue
            faults.count("examples")
            faults.count("images", len(LAYOUT_V1))
            drawn = optional(row, "structured_rep", list, where)
            if drawn:
                scene_regions(drawn, 0, where)  # a malformed one is told with its line, here
            scene = json.dumps(drawn) if drawn else None
            record = {"id": name, "sentence": text, "label": label, "scene": scene}
            for image in range(len(LAYOUT_V1)):
                yield {**record, "image": image, "path": self._path(row, f"{self.split}-{name}-{image}.png", where)}

    def sample(self, row: Any) -> Sample:
        """One picture with the sentence; its regions where the file tells what was drawn."""
        archive = self.archive()
        images: tuple[FileImage | ZipImage, ...] = self.shown(row["path"])
        if archive and self.pictures:
            images = (ZipImage(str(self.place(archive)), row["path"]),)
        return Sample(
            name=f"{self.split}-{row['id']}-{row['image']}",
            images=images,
            texts=(row["sentence"],),
            image_id=f"{self.split}-{row['id']}-{row['image']}",
            regions=scene_regions(json.loads(row["scene"]), row["image"]) if row["scene"] else (),
            label=row["label"],
            group=nlvr_sentence(row["id"]),
            fields={"identifier": row["id"], "image": row["image"]},
        )

    def _path(self, row: Record, name: str, where: str) -> str:
        if self.archive() or not self.pictures:
            return name
        return joined(joined(self.picture_folder(), identifier(row, "directory", where)), name)


def scene_regions(structured_rep: Sequence[Any], image: int, where: str = "structured_rep") -> tuple[Region, ...]:
    """What picture `image` (0..5) of an NLVR v1 example shows, with boxes in its 400 x 100 pixels.

    Args:
        structured_rep: the example's three boxes, each a list of items `{type, color, size, x_loc, y_loc}`.
        image: which of the six orders of the boxes.
        where: the example's place, for errors.

    Raises:
        DataError: not three boxes, or an item without its keys.
    """
    if len(structured_rep) != len(LAYOUT_V1[0]):
        raise DataError(f"{len(structured_rep)} boxes in structured_rep, expected three", where=where)
    return tuple(
        _drawn(typed(item, dict, where, "an item"), slot, where)
        for slot, box in enumerate(LAYOUT_V1[image])
        for item in typed(structured_rep[box], list, where, "a box of structured_rep")
    )


def _drawn(item: Record, slot: int, where: str) -> Region:
    size, colour = need(item, "size", float, where), need(item, "color", str, where).lower()
    x, y = need(item, "x_loc", float, where), need(item, "y_loc", float, where)
    return Region(
        (SLOT * slot + x, y, size, size), f"{COLOURS_V1.get(colour, colour)} {need(item, 'type', str, where)}"
    )


def _examples(rows: Iterable[tuple[str, Record]]) -> Iterator[tuple[str, str, Record, str]]:
    """Identifier, label, row and place of each example, checked."""
    met = Ids("identifier")
    for where, row in rows:
        name = identifier(row, "identifier", where)
        nlvr_sentence(name, where)
        met.add(name, where)
        yield name, truth(row, where), row, where


def annotated(file: Path, *, whole: bool = False) -> Iterator[Sample]:
    """What a file of examples says of their truth, without texts and pictures: for judging predictions.

    Args:
        file: the official json lines.
        whole: one sample an example; else one for each of its six pictures, or as many as its `images` names.

    Raises:
        DataError: an identifier twice or of another form, or a label that is neither true nor false.
    """
    for name, label, row, where in _examples(read_rows(file)):
        group, pictures = nlvr_sentence(name), optional(row, "images", list, where)
        if whole:
            yield Sample(name, label=label, group=group, fields={"identifier": name})
            continue
        for image in range(len(pictures or LAYOUT_V1)):
            fields = {"identifier": name, "image": image}
            yield Sample(f"{name}-{image}", label=label, group=group, fields=fields)
