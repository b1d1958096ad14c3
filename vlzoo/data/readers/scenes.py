"""The captions of a generated Scenes corpus, and what a detector without a fault would make of its pictures.

Legend: R regions, F width of a feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import box_numbers
from vlzoo.data.expected import Expected
from vlzoo.data.features import Detected, Features
from vlzoo.data.fields import identifier, need, typed
from vlzoo.data.readers.karpathy import Karpathy
from vlzoo.data.reading import read_json
from vlzoo.data.records import ImageRef, Sample
from vlzoo.data.scenes.words import COLORS, SHAPES, SIZES, TEXTURES
from vlzoo.data.tables import read_jsonl
from vlzoo.errors import DataError, did_you_mean

T = TypeVar("T")
DESCRIPTIONS, CARD = "annotations/scenes.jsonl", "card.json"
LOOKS: Mapping[str, Sequence[str]] = {
    "color": tuple(COLORS),
    "shape": SHAPES,
    "size": tuple(SIZES),
    "texture": TEXTURES,
}
"""What is told of an object, with all its values."""


class Scenes(Karpathy):
    """The captions of a generated Scenes corpus.

    Args:
        root: the folder that `vlzoo data make scenes --out` wrote.
        features: width of the region features of a picture's visible objects, for encoders of regions: fixed random
            vectors of an object's color, shape, size and texture, summed; its label is its shape. 0: none.
        things: tell each picture's visible objects in `fields["things"]`, by which captioning judges stated facts.
    """

    annotations = ("annotations/captions/dataset_scenes.json",)
    id_key = "cocoid"
    card: ClassVar[Card] = Card(
        "scenes",
        "Scenes captions, generated",
        "CC0-1.0",
        layout=("annotations/captions/dataset_scenes.json", "images/*.png"),
        get="vlzoo data make scenes --images 4000 --seed 0 --out DIR",
        note="sizes follow --images; attribute combinations of test do not occur in train",
    )

    def __init__(self, root: str | Path, *, features: int = 0, things: bool = False, **options: Any) -> None:
        super().__init__(root, **options)
        if isinstance(features, bool) or not isinstance(features, int) or features < 0:
            fix = "give the width that the image encoder takes, 16 for instance"
            raise DataError(f"features can't be {features!r}", where=self.card.name, fix=fix)
        self.features, self.things = features, things
        self._found: Mapping[str, Features] | None = None
        self._things: Mapping[str, list[dict[str, Any]]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_found": None, "_things": None}

    def _options(self) -> list[tuple[str, Any]]:
        # Whoever asks for neither has the fingerprint of before there were any.
        return [option for option in super()._options() if option not in (("features", 0), ("things", False))]

    def files(self) -> Sequence[Expected]:
        """The captions, the pictures, and what the objects are where features are asked for."""
        more = [Expected(DESCRIPTIONS, "what each picture shows"), Expected(CARD, "the corpus' card")]
        return [*super().files(), *(more if self.features or self.things else [])]

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with its captions, and its objects where they are asked for."""
        made = super().sample(row)
        if not self.things:
            return made
        if self._things is None:
            self._things = dict(_things(Path(self.root, DESCRIPTIONS)))
        return replace(made, fields={**made.fields, "things": _of(self._things, row["image_id"], self.root)})

    def picture(self, row: Mapping[str, Any]) -> ImageRef:
        """The picture of a row, with its regions where features are asked for."""
        image = super().picture(row)
        if not self.features:
            return image
        if self._found is None:
            self._found = dict(_described(Path(self.root), self.features))
        return Detected(image, _of(self._found, row["image_id"], self.root))


def _of(told: Mapping[str, T], image_id: str, root: str) -> T:
    """What is told of a picture.

    Raises:
        DataError: nothing is.
    """
    if image_id not in told:
        raise DataError(f"nothing is said of picture {image_id}", where=str(Path(root, DESCRIPTIONS)))
    return told[image_id]


def _things(file: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The visible objects of each picture: their looks, and their centres as shares of the picture's side."""
    for where, scene, seen in visible_things(file):
        told = []
        for thing in seen:
            looks = {look: _value(thing, look, where) for look in LOOKS}
            told.append({**looks, "x": need(thing, "x", float, where), "y": need(thing, "y", float, where)})
        yield identifier(scene, "image_id", where), told


def visible_things(file: Path) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """The lines of a corpus' descriptions with their places, and the objects in each that no curtain hides.

    Raises:
        DataError: a line has no things, or one of them is no mapping or says nothing of its box.
    """
    for where, scene in read_jsonl(file):
        things = [typed(thing, dict, where, "a thing") for thing in need(scene, "things", list, where)]
        yield where, scene, [thing for thing in things if need(thing, "box", object, where) is not None]


def _described(root: Path, width: int) -> Iterator[tuple[str, Features]]:
    side = need(read_json(root / CARD, dict), "size", int, str(root / CARD))
    vectors = _vectors(width)
    for where, scene, seen in visible_things(root / DESCRIPTIONS):
        features_RF = np.zeros((len(seen), width), np.float32)
        boxes_R4 = np.zeros((len(seen), 4), np.float32)
        for place, thing in enumerate(seen):
            features_RF[place] = sum(vectors[look, _value(thing, look, where)] for look in LOOKS)
            x, y, across, down = box_numbers(thing["box"], where)
            boxes_R4[place] = np.array([x, y, x + across, y + down]) / side
        labels = tuple(_value(thing, "shape", where) for thing in seen)
        yield identifier(scene, "image_id", where), Features(features_RF, boxes_R4, labels)


def _value(thing: Mapping[str, Any], look: str, where: str) -> str:
    value = need(thing, look, str, where)
    if value not in LOOKS[look]:
        raise DataError(f"{value!r} is no {look}", where=where, fix=did_you_mean(value, LOOKS[look]))
    return value


def _vectors(width: int) -> dict[tuple[str, str], NDArray[np.float32]]:
    """A vector for each value of each look, the same in every corpus."""
    rng = np.random.default_rng(0)
    values = [(look, value) for look, known in LOOKS.items() for value in known]
    return dict(zip(values, rng.standard_normal((len(values), width)).astype(np.float32), strict=True))
