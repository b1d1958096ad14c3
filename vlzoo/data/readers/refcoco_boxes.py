"""The objects that referring expressions refer to, from REFER's `instances.json`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlzoo.data.cleaning import clean_box
from vlzoo.data.faults import Faults
from vlzoo.data.readers import safe_pickle
from vlzoo.data.readers.task import joined
from vlzoo.data.reading import Record, identifier, need, read_bytes, read_json, typed, unique
from vlzoo.data.records import Region, Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError
from vlzoo.types import Box


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


def annotated(file: Path, *, instances: Path | None = None, expressions: bool = False) -> Iterator[Sample]:
    """What a file of references says of their boxes, without texts and pictures: for judging predictions.

    Args:
        file: rows of `{"ref_id", "box" or "bbox"}`, with `image_id` and `split` if there are any, or REFER's
            `refs(...).p` with `instances.json` beside it.
        instances: REFER's boxes, where they do not lie beside the file.
        expressions: one sample an expression (`sent_id`), not one a reference.

    Raises:
        DataError: a reference without a box, or an id twice.
    """
    rows = _refs(file) if file.name.removesuffix(".gz").endswith(".p") else read_rows(file, "refs")
    boxes: dict[Any, Any] = {}
    seen: set[str] = set()
    for where, row in rows:
        if "ann_id" in row and not boxes:
            boxes = _all_boxes(instances or file.parent / "instances.json")
        box: Any = row.get("box", row.get("bbox", boxes.get(row.get("ann_id"))))
        if "ref_id" not in row or not are_numbers(box, 4):
            fix = "a row reads {ref_id, bbox: [x, y, w, h]}, or {ref_id, ann_id} with refer's instances.json"
            raise DataError("no ref_id with a box here", where=where, fix=fix)
        sentences = [str(one["sent_id"]) for one in row.get("sentences", ())] or [str(row.get("sent_id", ""))]
        for name in sentences if expressions else [str(row["ref_id"])]:
            if name in seen:
                raise DataError(
                    f"{'expression' if expressions else 'reference'} {name} is annotated twice", where=where
                )
            seen.add(name)
            image = str(row.get("image_id", row.get("image", row["ref_id"])))
            fields = {"split": str(row.get("split", "")), "ref_id": str(row["ref_id"])}
            yield Sample(name, image_id=image, regions=(Region(tuple(box), "", "expression"),), fields=fields)


def are_numbers(value: Any, count: int) -> bool:
    """Whether a value is a list of so many finite numbers."""
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return False
    return all(isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in value)


def _refs(file: Path) -> Iterator[tuple[str, Record]]:
    """REFER's pickled list, read without running any code in it."""
    rows = safe_pickle.loads(read_bytes(file), where=str(file))
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError("not a list of references", where=str(file), fix="give REFER's refs(...).p")
    return ((f"{file}[{number}]", row) for number, row in enumerate(rows))


def _all_boxes(file: Path) -> dict[Any, Any]:
    """Annotation id -> box, from a COCO instances file."""
    whole = read_json(file)
    notes = whole.get("annotations") if isinstance(whole, dict) else None
    if not isinstance(notes, list):
        raise DataError("no list of annotations", where=str(file), fix="give refer's instances.json as --questions")
    return {note["id"]: note["bbox"] for note in notes}
