"""Which captions and pictures of COCO belong together beyond their own: ECCV Caption, CxC. No torch here.

ECCV Caption (Chun et al., ECCV 2022) has two JSON objects, `eccv_image_to_caption.json` and
`eccv_caption_to_image.json`: COCO's ids of a query to those of its right answers. CxC (Parekh et al., EACL 2021) is
`sits_test.csv`: `caption`, `image`, `agg_score`; a pair that people scored 3 or more is right, as its paper counts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vlzoo.data.fields import need, short, typed
from vlzoo.data.reading import read_json
from vlzoo.data.tables import delimiter_of, read_table
from vlzoo.errors import DataError

RIGHT = 3.0
"""The score of CxC from which a caption fits a picture."""
SIDES = ("image_to_caption", "caption_to_image")
_NUMBER = re.compile(r"(\d+)(?:\.\w+)?$")

Ids = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Positives:
    """Right answers by COCO's ids.

    Attributes:
        name: of the collection: `ECCV`, `CxC`, or the file's.
        captions: of an image's id.
        images: of a caption's id.
    """

    name: str
    captions: Ids
    images: Ids


def read_positives(file: str | Path) -> Positives:
    """The right answers of one of ECCV Caption's two files, with the other beside it, or of a table of CxC.

    Raises:
        DataError: it is of neither form, or the other file is missing.
    """
    path = Path(file)
    if delimiter_of(path) is not None:
        return _table(path)
    side = next((side for side in SIDES if side in path.name), None)
    if side is None:
        raise DataError(
            "a JSON file of right answers is called ..._image_to_caption.json or ..._caption_to_image.json",
            where=str(path),
            fix="name one of ECCV Caption's two files, or sits_test.csv of CxC",
        )
    captions, images = (_object(path.with_name(path.name.replace(side, each))) for each in SIDES)
    return Positives(_called(path.name), captions, images)


def _called(name: str) -> str:
    """`ECCV` or `CxC` by a file's name, else the beginning of it."""
    known = {"eccv": "ECCV", "cxc": "CxC", "sits": "CxC"}
    stem = re.split(r"[_.]", name)[0]
    return known.get(stem.lower(), stem)


def _object(path: Path) -> dict[str, frozenset[str]]:
    found = {}
    for key, value in read_json(path, dict).items():
        answers = typed(value, list, f"{path}: {key}", "the right answers")
        found[str(key)] = frozenset(_id(answer, f"{path}: {key}") for answer in answers)
    return found


def _id(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise DataError(f"the id {short(value)} is no whole number", where=where)
    return str(value)


def _table(path: Path) -> Positives:
    captions, images = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for where, row in read_table(path, delimiter=delimiter_of(path) or ","):
        text, picture = (_coco_id(need(row, key, str, where), where) for key in ("caption", "image"))
        if _score(need(row, "agg_score", str, where), where) >= RIGHT:
            captions[picture].add(text)
            images[text].add(picture)
    frozen = ({key: frozenset(answers) for key, answers in each.items()} for each in (captions, images))
    return Positives(_called(path.name), *frozen)


def _coco_id(value: str, where: str) -> str:
    """The number at the end of `COCO_val2014:sentid:732091` or `COCO_val2014_000000365325.jpg`."""
    found = _NUMBER.search(value)
    if found is None:
        raise DataError(f"{short(value)} ends with no id of COCO", where=where)
    return str(int(found[1]))


def _score(value: str, where: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise DataError(f"the score {short(value)} is no number", where=where) from None
