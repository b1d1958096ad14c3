"""Boxes of Scenes: region phrases and objects with attributes in Visual Genome's format; objects of the premises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_box
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, identifier, need
from vlzoo.data.readers.base import BoxSource, box_row
from vlzoo.data.readers.scenes import DESCRIPTIONS, visible_things
from vlzoo.data.readers.visual_genome import Objects, Regions, VisualGenome
from vlzoo.errors import DataError, did_you_mean

KINDS = ("scene", "premise")
"""Of the pictures of a corpus; SNLI-VE's hypotheses are about premises, all else about scenes."""


class _OfScenes(VisualGenome):
    """Scenes writes Visual Genome's files for its training pictures."""

    folder = "annotations/visual_genome/"
    splits = ("train",)

    def _ids_of_split(self, ids: Sequence[str]) -> frozenset[str]:
        return frozenset(ids)


_MADE = "vlzoo data make scenes --images 4000 --seed 0 --out DIR"


class ScenesRegions(_OfScenes, Regions):
    """The region phrases of a generated Scenes corpus.

    Args:
        root: the folder that `vlzoo data make scenes --out` wrote.
    """

    card = Card(
        "scenes-regions",
        "Scenes region phrases, generated",
        "CC0-1.0",
        layout=("annotations/visual_genome/*.json", "images/*.png"),
        get=_MADE,
    )


class ScenesAttributes(_OfScenes, Objects):
    """The objects of a generated Scenes corpus with their attributes.

    Args:
        root: the folder that `vlzoo data make scenes --out` wrote.
    """

    card = Card(
        "scenes-attributes",
        "Scenes objects with attributes, generated",
        "CC0-1.0",
        layout=("annotations/visual_genome/*.json", "images/*.png"),
        get=_MADE,
    )


class ScenesPremises(BoxSource):
    """The premise pictures of a generated Scenes corpus, of which `scenes-snli-ve` speaks, with their visible objects.

    Args:
        root: the folder that `vlzoo data make scenes --out` wrote.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    card = Card(
        "scenes-premises",
        "Scenes objects of the premise pictures, generated",
        "CC0-1.0",
        layout=(DESCRIPTIONS, "images/*.png"),
        get=_MADE,
        note="an object that a curtain hides has no box",
    )

    def files(self) -> Sequence[Expected]:
        """What the pictures show, and the pictures."""
        return [Expected(DESCRIPTIONS, "what each picture shows"), Expected("images", "the pictures", "folder")]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of all premises of the split, those without a visible object too.

        Raises:
            DataError: a key is missing or of another kind, an id is there twice, or a picture is of an unknown kind.
        """
        seen = Ids("the image_id", numbers=True)
        for where, entry, things in visible_things(Path(self.root, DESCRIPTIONS)):
            kind = need(entry, "kind", str, where)
            if kind not in KINDS:
                raise DataError(f"no picture is a {kind!r}", where=where, fix=did_you_mean(kind, KINDS, what="kinds"))
            if kind != "premise" or need(entry, "split", str, where) != self.split:
                continue
            image_id = identifier(entry, "image_id", where)
            seen.add(image_id, where)
            boxes = [row for thing in things for row in _box(thing, where, faults)]
            yield self.boxed(image_id, f"images/{image_id}.png", boxes, faults)


def _box(thing: Mapping[str, Any], where: str, faults: Faults) -> Iterator[dict[str, Any]]:
    """The box of a visible thing, named by its shape; nothing where it has no area."""
    box = clean_box(need(thing, "box", list, where), where, faults)
    if box is not None:
        yield box_row(box, [need(thing, "shape", str, where)])
