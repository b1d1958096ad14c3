"""What Scenes writes in Visual Genome's format: region phrases, and objects with attributes."""

from __future__ import annotations

from collections.abc import Sequence

from vlzoo.data.cards import Card
from vlzoo.data.readers.visual_genome import Objects, Regions, VisualGenome


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
