"""The objects that referring expressions refer to, from REFER's `instances.json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlzoo.data.cleaning import box_numbers, clean_box
from vlzoo.data.faults import Faults
from vlzoo.data.fields import MAX_INTEGER, Ids, identifier, need, optional, optional_identifier, typed, unique
from vlzoo.data.readers import safe_pickle
from vlzoo.data.readers.task import joined
from vlzoo.data.reading import Record, read_bytes, read_json
from vlzoo.data.records import Region, Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError
from vlzoo.types import Box

BOX_KEYS = ("box", "bbox")
"""What rows call a box of their own."""


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
            unique(self._entries(whole, key), f"the id in {key}", str(file), numbers=True)
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


@dataclass(frozen=True)
class Reference:
    """A reference to an object, with its expressions.

    Attributes:
        ref_id: its id.
        split: its split, empty where the row names none.
        sentences: id and content of each expression; none where the row names none.
        row: all that the file says.
        where: its place.
    """

    ref_id: str
    split: str
    sentences: tuple[tuple[str, Record], ...]
    row: Record
    where: str


def references(rows: Iterable[tuple[str, Record]]) -> Iterator[Reference]:
    """The references of a file, checked; of a table of expressions (`sent_id` in the row) one for each.

    Raises:
        DataError: an id of a reference or of an expression twice, an empty list of expressions, or a value of another
            kind than the format's.
    """
    refs, texts = Ids("ref_id", numbers=True), Ids("sent_id", numbers=True)
    told: dict[str, Any] = {}
    for where, row in rows:
        ref_id, alone = identifier(row, "ref_id", where), "sent_id" in row and "sentences" not in row
        where = f"{where}: ref_id {ref_id}"
        if alone:
            facts = [row.get(key) for key in ("split", "ann_id", "image_id", *BOX_KEYS)]
            if told.setdefault(ref_id, facts) != facts:
                raise DataError("this ref_id is there with another box, picture or split", where=where)
        else:
            refs.add(ref_id, where)
        sentences = ((identifier(row, "sent_id", where), row),) if alone else _sentences(row, where)
        for name, _ in sentences:
            texts.add(name, where)
        yield Reference(ref_id, optional(row, "split", str, where) or "", sentences, row, where)


def _sentences(row: Record, where: str) -> tuple[tuple[str, Record], ...]:
    entries = optional(row, "sentences", list, where)
    if entries == []:
        raise DataError("a reference without an expression: 'sentences' is []", where=where)
    entries = [typed(entry, dict, where, "a sentence") for entry in entries or ()]
    return tuple((identifier(entry, "sent_id", where), entry) for entry in entries)


def read_refs(file: Path) -> Iterator[tuple[str, Record]]:
    """The rows of a file of references, with their places: JSON, or REFER's pickle, no code of which is run.

    Raises:
        DataError: missing, a folder, a pickle that holds more than plain containers, or no list of references.
    """
    name = file.name.removesuffix(".gz")
    start = b"[" if name.endswith((".csv", ".tsv")) else read_bytes(file).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"[", b"{", b""):
        yield from read_rows(file, "refs")
        return
    rows = safe_pickle.loads(read_bytes(file), where=str(file))
    if not isinstance(rows, list) or not rows:
        raise DataError("not a list of references", where=str(file), fix="give REFER's refs(...).p")
    for number, row in enumerate(rows):
        yield (where := f"{file}[{number}]"), typed(row, dict, where, "the ref")


def annotated(file: Path, *, instances: Path | None = None, expressions: bool = False) -> Iterator[Sample]:
    """What a file of references says of their boxes, without texts and pictures: for judging predictions.

    Args:
        file: rows of `{"ref_id", "box" or "bbox"}`, with `image_id` and `split` if there are any, or REFER's
            `refs(...).p` with `instances.json` beside it.
        instances: REFER's boxes, where they do not lie beside the file.
        expressions: one sample an expression (`sent_id`), not one a reference.

    Raises:
        DataError: a reference without a box, an id twice, or a value of another kind than the format's.
    """
    boxes: dict[str, Box] | None = None
    names = Ids("sent_id" if expressions else "ref_id", numbers=True)
    for ref in references(read_refs(file)):
        if boxes is None and "ann_id" in ref.row and not any(key in ref.row for key in BOX_KEYS):
            boxes = _all_boxes(instances or file.parent / "instances.json")
        box = _box(ref, boxes or {})
        if expressions and not ref.sentences:
            fix = "predictions name expressions (sent_id), so each row must: {ref_id, sent_id, bbox}, or `sentences`"
            raise DataError("no expression here", where=ref.where, fix=fix)
        for name in [name for name, _ in ref.sentences] if expressions else [ref.ref_id]:
            names.add(name, ref.where)
            image = optional_identifier(ref.row, "image_id", ref.where) or optional(ref.row, "image", str, ref.where)
            fields = {"split": ref.split, "ref_id": ref.ref_id}
            region = Region(box, "", "expression")
            yield Sample(name, image_id=image, regions=(region,), fields=fields)


def _box(ref: Reference, boxes: Mapping[str, Box]) -> Box:
    key = next((key for key in BOX_KEYS if key in ref.row), None)
    ann_id = optional_identifier(ref.row, "ann_id", ref.where)
    if key is None and ann_id not in boxes:
        fix = "a row reads {ref_id, bbox: [x, y, w, h]}, or {ref_id, ann_id} with refer's instances.json"
        missing = f"no box here, and no annotation {ann_id} in instances.json" if ann_id else "no box here"
        raise DataError(missing, where=ref.where, fix=fix)
    box = boxes[ann_id or ""] if key is None else box_numbers(ref.row[key], ref.where)
    if not are_numbers(box, 4) or min(box[2:]) <= 0:
        raise DataError(f"the box is {list(box)}, expected x, y, w, h with an area", where=ref.where)
    return box


def are_numbers(value: Any, count: int) -> bool:
    """Whether a value is a list of so many finite numbers; none is larger than pictures or programs can be."""
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return False
    numbers = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in value)
    return numbers and all(-MAX_INTEGER <= n < MAX_INTEGER for n in value)


def _all_boxes(file: Path) -> dict[str, Box]:
    """Annotation id -> box, from a COCO instances file.

    Raises:
        DataError: it is another file, an id is there twice, or a box is none.
    """
    whole = read_json(file)
    if not isinstance(whole, dict) or not isinstance(whole.get("annotations"), list):
        fix = "give refer's instances.json, which holds `annotations` with a bbox each, as --questions"
        raise DataError("no boxes: it holds no list of annotations", where=str(file), fix=fix)
    return unique(_boxes_of(whole["annotations"], file), "the id in annotations", str(file), numbers=True)


def _boxes_of(notes: Iterable[Any], file: Path) -> Iterator[tuple[str, Box]]:
    for number, note in enumerate(notes):
        where = f"{file}: annotations[{number}]"
        name = identifier(typed(note, dict, where, "the entry"), "id", where)
        yield name, box_numbers(need(note, "bbox", list, where), where)
