"""X-VLM's line format: one json object a line, with a picture, perhaps a caption, and perhaps boxes with texts.

    {"image_rpath": path | "image": path | "binary": base64, "caption"?: text | [texts],
     "elems"?: [{"bb": [x, y, w, h], "caption": text | [texts], "attributes"?: text | [texts]}]}

As in X-VLM's code `bb` is in pixels, its numbers are cut to whole ones, and one caption of several is drawn in
training (here: `Region.text` and `Region.others`). Of a line with several keys of pictures `binary` is read.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import box_numbers, clean_box, clean_texts, in_shares, storable
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import need, typed
from vlzoo.data.images import BytesImage, FileImage, picture_size
from vlzoo.data.paths import matching
from vlzoo.data.readers.base import BoxSource, box_row
from vlzoo.data.tables import read_jsonl
from vlzoo.errors import DataError


class XvlmLines(BoxSource):
    """Pictures with captions and regions in X-VLM's line format.

    Args:
        root: the folder that paths in the lines are below.
        files: the list or lists below the root; `*` stands for any part of a name.
        images: the folder below the root that paths in the lines start from.
        headers: read the header of each picture that has boxes, so that boxes are checked against it; a picture that
            is not there is told when it is opened.
    """

    kind = "phrase"
    on_disk: ClassVar[bool] = True
    splits: ClassVar[tuple[str, ...]] = ("train",)
    columns: ClassVar[Mapping[str, str] | None] = {**(BoxSource.columns or {}), "binary": "str"}
    card = Card(
        "xvlm",
        "X-VLM's line format",
        "that of the data it lists",
        "https://github.com/zengyan-97/X-VLM",
        "Zeng et al. 2022, Multi-Grained Vision Language Pre-Training",
        layout=(
            "*.json or *.jsonl    a line: image_rpath, image or binary; caption; elems: [{bb, caption, attributes}]",
            "the pictures it names",
        ),
        get="X-VLM's page tells how its lists are made from COCO, Visual Genome, Objects365 and OpenImages",
    )

    def __init__(
        self, root: str | Path, *, files: str = "*.json*", images: str = "", headers: bool = True, **options: Any
    ) -> None:
        super().__init__(root, **options)
        self.pattern, self.images, self.headers = files, images.rstrip("/"), headers

    def files(self) -> Sequence[Expected]:
        """The lists, by name."""
        names = matching(self.root, self.pattern) or [self.pattern]
        return [Expected(name, "lines of pictures and regions") for name in names]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the lines.

        Raises:
            DataError: a line has neither a picture nor bytes of one, or a key of an element is missing.
        """
        for expected in self.files():
            stem = Path(expected.path).name.split(".")[0]
            for where, entry in read_jsonl(Path(self.root, expected.path)):
                image, binary = self._picture(entry, where)
                texts = clean_texts(_many(entry.get("caption", []), where), where, faults)
                elems = need(entry, "elems", list, where) if "elems" in entry else []
                name = image or f"{stem}:{where.rpartition(':')[2]}"
                size = self._size({"name": name, "image": image, "binary": binary}) if elems else None
                places = ((f"{where} elems[{number}]", elem) for number, elem in enumerate(elems))
                boxes = [box for place, elem in places if (box := _element(elem, place, faults, size))]
                faults.count("captions", len(texts))
                yield {**self.boxed(name, image, boxes, faults, size=size, texts=texts), "binary": binary}

    def picture(self, row: Mapping[str, Any]) -> FileImage | BytesImage:
        """The file, or the bytes that the line holds."""
        if row["image"]:
            return FileImage(self.root, row["image"])
        try:
            return BytesImage(f"{self.root}!/{row['name']}", base64.b64decode(row["binary"], validate=True))
        except (binascii.Error, ValueError) as error:
            raise DataError(f"`binary` is not base64: {error}", where=row["name"]) from error

    def _picture(self, entry: Mapping[str, Any], where: str) -> tuple[str, str | None]:
        if "binary" in entry:
            return "", need(entry, "binary", str, where)
        key = "image_rpath" if "image_rpath" in entry else "image"
        if not (path := need(entry, key, str, where)):
            raise DataError(f"the value of {key!r} is '', expected a path", where=where)
        return (f"{self.images}/{path}" if self.images else path), None

    def _size(self, row: Mapping[str, Any]) -> tuple[int, int] | None:
        """Width and height of a picture; None where they are not asked for, or can't be read now."""
        try:
            return picture_size(self.picture(row)) if self.headers else None
        except DataError:
            return None


def _many(value: Any, where: str) -> list[Any]:
    """A text or a list of texts, as a list; null counts as none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [typed(value, str, where)]


def _element(value: Any, where: str, faults: Faults, size: tuple[int, int] | None) -> dict[str, Any] | None:
    elem = typed(value, dict, where)
    numbers: Sequence[float] = box_numbers(need(elem, "bb", list, where), where)
    if all(map(math.isfinite, numbers)) and not in_shares(numbers):
        numbers = [float(math.trunc(number)) for number in numbers]  # X-VLM's own reader cuts decimals off
    box = clean_box(numbers, where, faults, size=size)
    said = _many(elem.get("caption"), where)
    texts = clean_texts(said, where, faults, what="phrase")
    words = [storable(typed(word, str, where, "an attribute")) for word in _many(elem.get("attributes"), where)]
    if not said:
        faults.skip("region without a text", where)
    return box_row(box, texts, attributes=words) if box is not None and texts else None
