"""Tests of composition: a picture, its caption, and captions with a small change that are wrong of it.

SugarCrepe (Hsieh et al., NeurIPS 2023), ARO (Yuksekgonul et al., ICLR 2023), CREPE (Ma et al., CVPR 2023).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cleaning import clean_box, clean_text, clean_texts
from vlzoo.data.faults import Faults
from vlzoo.data.fields import Ids, identifier, need, short, typed
from vlzoo.data.images import CroppedImage
from vlzoo.data.readers import own
from vlzoo.data.readers.task import TaskSource
from vlzoo.data.reading import Record, read_json
from vlzoo.data.records import Sample
from vlzoo.data.tables import delimiter_of, read_rows, read_table
from vlzoo.errors import DataError

CREPE_COLUMNS = ("hard_negs", "valid_hard_negs_atom", "valid_hard_negs_comp")
"""Columns with lists of wrong captions: of the productivity test, and of both kinds of the systematicity test."""

_DIGITS = 19
"""A picture's number has at most so many."""


@dataclass(frozen=True)
class Case:
    """One line of such a test.

    Attributes:
        where: its place, for messages.
        name: unique in its file and told by it: `add_att-17`.
        image: the picture, below the folder of pictures.
        text: what is right of it.
        negatives: what is wrong of it.
        kind: what was changed: `swap_att`, a relation.
        box: the part of the picture that is shown: x, y, width, height in pixels; None: all of it.
    """

    where: str
    name: str
    image: str
    text: Any
    negatives: Sequence[Any]
    kind: str
    box: Sequence[Any] | None = None


class Choices(TaskSource):
    """A picture with its caption; `fields` holds `negatives`, the captions that are wrong of it, and `kind`."""

    columns: ClassVar[Mapping[str, str] | None] = {
        **{"name": "str", "image": "str", "text": "str", "negatives": "strs", "kind": "str"},
        **{"x": "float", "y": "float", "width": "float", "height": "float"},
    }
    splits = ("test",)

    def __init__(self, root: str | Path, *, split: str = "test", **options: Any) -> None:
        super().__init__(root, split=split, **options)

    def cases(self) -> Iterator[Case]:
        """The lines of all files.

        Raises:
            DataError: a file of another form.
        """
        raise NotImplementedError

    def picture(self, image: str) -> str:
        """The place of a picture below the root."""
        return f"{self.picture_folder()}/{image}"

    def records(self, faults: Faults) -> Iterator[Record]:
        """Rows of the lines of which a caption and a wrong one are left."""
        met = Ids("the name")
        for case in self.cases():
            met.add(case.name, case.where)
            text = clean_text(case.text, case.where, faults)
            negatives = clean_texts(case.negatives, case.where, faults, what="wrong caption")
            box = None if case.box is None else clean_box(case.box, case.where, faults)
            if text is None or (case.box is not None and box is None):
                continue
            if len(negatives) < len(case.negatives) or not negatives:
                if not case.negatives:
                    faults.skip("no wrong caption", case.where)
                continue
            faults.count("examples")
            sides = dict(zip(("x", "y", "width", "height"), box or (None,) * 4, strict=True))
            row = {"name": case.name, "image": self.picture(case.image), "text": text, "kind": case.kind}
            yield {**row, "negatives": list(negatives), **sides}

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture, or the part of it that is shown, with its caption."""
        images: tuple[Any, ...] = self.shown(row["image"])
        if row["x"] is not None and self.pictures:
            images = (CroppedImage(self.root, row["image"], box=(row["x"], row["y"], row["width"], row["height"])),)
        fields = {"negatives": tuple(row["negatives"]), "kind": row["kind"]}
        return Sample(row["name"], images, (row["text"],), row["image"], fields=fields)


def sugarcrepe(file: Path) -> Iterator[Case]:
    """One of SugarCrepe's seven files, an object of objects by number; or the same rows as JSON lines with `category`.

    Raises:
        DataError: it is of another form.
    """
    if file.name.removesuffix(".gz").endswith(".jsonl"):
        for number, (where, entry) in enumerate(read_rows(file)):
            kind = need(entry, "category", str, where)
            yield _pair(where, f"{kind}-{number}", need(entry, "image", str, where), entry, kind)
        return
    kind = _stem(file)
    for key, value in read_json(file, dict).items():
        entry = typed(value, dict, where := f"{file}: {key}")
        yield _pair(where, f"{kind}-{key}", need(entry, "filename", str, where), entry, kind)


def _pair(where: str, name: str, image: str, entry: Record, kind: str) -> Case:
    text, wrong = (need(entry, key, str, where) for key in ("caption", "negative_caption"))
    return Case(where, name, image, text, [wrong], kind)


def aro(file: Path) -> Iterator[Case]:
    """A list of ARO: Visual Genome Relation, or Visual Genome Attribution.

    Raises:
        DataError: it is of another form.
    """
    test = "attribution" if "attribution" in file.name else "relation"
    for number, (where, entry) in enumerate(read_rows(file)):
        box = [need(entry, f"bbox_{side}", float, where) for side in "xywh"]
        text, wrong = (need(entry, key, str, where) for key in ("true_caption", "false_caption"))
        image = need(entry, "image_path", str, where)
        yield Case(where, f"{test}-{number}", image, text, [wrong], _changed(entry, where), box)


def _changed(entry: Record, where: str) -> str:
    """The relation whose ends change places, or the two attributes that do."""
    if "relation_name" in entry:
        return need(entry, "relation_name", str, where)
    words = need(entry, "attributes", list, where)
    return " ".join(typed(word, str, where, "an attribute") for word in words)


def aro_order(file: Path) -> Iterator[Case]:
    """ARO's COCO-Order or Flickr-Order, as its code holds them (`test_cases`): a caption, then its words shuffled.

    A shuffled caption that is the caption itself, as those of few words may be, is left out.

    Raises:
        DataError: it is of another form.
    """
    for number, (where, entry) in enumerate(read_rows(file)):
        said = [typed(text, str, where, "a caption") for text in need(entry, "caption_options", list, where)]
        if not said:
            raise DataError("'caption_options' holds no caption", where=where)
        wrong = [text for text in said[1:] if text.split() != said[0].split()]
        yield Case(where, f"order-{number}", need(entry, "image", str, where), said[0], wrong, "")


def crepe(file: Path, column: str = "") -> Iterator[Case]:
    """A table of CREPE; a picture is named by its id.

    Args:
        file: the table, csv.
        column: with the wrong captions, as a Python list; empty: the first of `CREPE_COLUMNS` that is there.

    Raises:
        DataError: it is of another form.
    """
    for number, (where, row) in enumerate(read_table(file, delimiter=delimiter_of(file) or ",")):
        named = column or next((each for each in CREPE_COLUMNS if each in row), CREPE_COLUMNS[0])
        box = [_number(row, side, where) for side in ("x", "y", "width", "height")] if "x" in row else None
        image = identifier(row, "image_id", where)
        if not image.isdecimal() or len(image) > _DIGITS:
            raise DataError(f"the id 'image_id' is {short(image)}, expected Visual Genome's number", where=where)
        text, wrong = need(row, "caption", str, where), _list(need(row, named, str, where), where, named)
        yield Case(where, f"{_stem(file)}-{number}", f"{image}.jpg", text, wrong, _compound(_stem(file), named), box)


def _compound(stem: str, column: str) -> str:
    """What is said of a table of CREPE by its name: `unseen compounds, atom`, `swap, 5 atoms`."""
    negatives = column.rpartition("_")[2] if column.startswith("valid") else ""
    if found := re.search(r"hard_negs_([a-z]+)_complexity_(\d+)", stem):
        return f"{found[1]}, {found[2]} atoms"
    found = re.search(r"(seen|unseen)_compounds", stem)
    return ", ".join(part for part in (found and f"{found[1]} compounds", negatives) if part) or stem


def _list(value: str, where: str, column: str) -> list[Any]:
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise DataError(f"the value of {column!r} is {short(value)}, expected a list of captions", where=where)
    return found


def _number(row: Mapping[str, str], key: str, where: str) -> float:
    try:
        return float(need(row, key, str, where))
    except ValueError:
        raise DataError(f"the value of {key!r} is {short(row[key])}, expected a number", where=where) from None


def _stem(file: Path) -> str:
    return file.name.partition(".")[0]


def cases_of(file: Path) -> Iterator[Case] | None:
    """The cases of a file in any of these formats, by its first row; None: it is of none of them.

    Raises:
        DataError: it can't be read.
    """
    if delimiter_of(file) is not None:
        return crepe(file)
    first = next(_first_rows(file), {})
    if "negative_caption" in first:
        return sugarcrepe(file)
    if "caption_options" in first:
        return aro_order(file)
    return aro(file) if "true_caption" in first else None


def _first_rows(file: Path) -> Iterator[Record]:
    for _, row in read_rows(file):
        inner = next(iter(row.values()), None)
        yield inner if isinstance(inner, dict) else row


def annotated(file: Path) -> Iterator[Sample]:
    """The samples of a file of SugarCrepe, ARO or CREPE, without pictures: for judging predictions.

    In vlzoo's own line format `fields` holds `negatives`, a list of texts, and perhaps `kind`.

    Raises:
        DataError: it is of none of these formats.
    """
    found = cases_of(file)
    if found is None:
        yield from own.annotated(file)
        return
    for case in found:
        text = typed(case.text, str, case.where, "the caption")
        fields = {"negatives": tuple(case.negatives), "kind": case.kind}
        yield Sample(case.name, texts=(text,), image_id=case.image, fields=fields)
