"""The objects that referring expressions refer to, from REFER's `instances.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlzoo.data.cleaning import Box, clean_box
from vlzoo.data.faults import Faults
from vlzoo.data.readers.task import joined
from vlzoo.data.reading import Record, identifier, need, read_json, typed, unique
from vlzoo.errors import DataError


@dataclass(frozen=True)
class Target:
    """An object that expressions refer to.

    Attributes:
        box: x, y, width, height in pixels.
        category: its class.
        image_id: COCO's id of its picture.
        file_name: the picture's file; that of the ref itself ends in the object's number and does not exist.
        size: width and height of the picture.
    """

    box: Box
    category: str
    image_id: str
    file_name: str
    size: tuple[int, int]


class Targets:
    """The objects of an `instances.json`, by annotation id.

    Args:
        file: the file.

    Raises:
        DataError: an id twice, or an entry without its keys.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        whole = read_json(file, dict)
        self.images, self.annotations, self.categories = (
            unique(self._entries(whole, key), f"the id in {key}", str(file))
            for key in ("images", "annotations", "categories")
        )

    def _entries(self, whole: Record, key: str) -> Iterator[tuple[str, Record]]:
        for index, entry in enumerate(need(whole, key, list, str(self.file))):
            where = f"{self.file}: {key}[{index}]"
            yield identifier(typed(entry, dict, where, "the entry"), "id", where), entry

    def find(self, ref: Record, where: str, faults: Faults) -> Target | None:
        """The object of a ref; None where its box is of no use, which `faults` notes.

        Raises:
            DataError: there is no such annotation, picture or class.
        """
        annotation = self._one(self.annotations, identifier(ref, "ann_id", where), "annotation", where)
        place = f"{self.file}: annotation {annotation['id']}"
        image = self._one(self.images, identifier(annotation, "image_id", place), "image", place)
        category = self._one(self.categories, identifier(annotation, "category_id", place), "category", place)
        picture = f"{self.file}: image {image['id']}"
        size = need(image, "width", int, picture), need(image, "height", int, picture)
        box = within(need(annotation, "bbox", list, place), place, faults, size)
        name = need(image, "file_name", str, picture)
        return box and Target(box, need(category, "name", str, place), str(image["id"]), name, size)

    def _one(self, found: Mapping[str, Record], name: str, what: str, where: str) -> Record:
        if name not in found:
            raise DataError(f"{what} {name} is not in {self.file}", where=where, fix="are both files of one download?")
        return found[name]


def within(bbox: list[Any], where: str, faults: Faults, size: tuple[int, int]) -> Box | None:
    """A box that was checked against its picture, kept as written where it overhangs by less than a pixel.

    The official evaluation compares with the box as written, so rounding is not to be mended here.
    """
    box = clean_box(bbox, where, faults, size=size)
    if box is None or max(abs(float(a) - b) for a, b in zip(bbox, box, strict=True)) >= 1:
        return box
    x, y, width, height = map(float, bbox)
    return x, y, width, height


def placed(target: Target, folder: str) -> Record:
    """A target as the columns of a row."""
    box = dict(zip("xywh", target.box, strict=True))
    row = {"image": joined(folder, target.file_name), "image_id": target.image_id, "category": target.category}
    return {**row, **box, "width": target.size[0], "height": target.size[1]}
