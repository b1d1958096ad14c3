"""OpenImages boxes: csv lists with coordinates between 0 and 1, and names of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_box
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import need, unique
from vlzoo.data.images import FileImage, picture_size
from vlzoo.data.readers.base import BoxSource, box_row
from vlzoo.data.reading import first_existing
from vlzoo.data.records import Region, Sample
from vlzoo.data.tables import read_table
from vlzoo.errors import DataError

BOXES = {
    "train": (
        "oidv6-train-annotations-bbox.csv",
        "train-annotations-bbox.csv",
        "oidv6-train-annotations-bbox.csv.gz",
        "train-annotations-bbox.csv.gz",
    ),
    "val": ("validation-annotations-bbox.csv", "validation-annotations-bbox.csv.gz"),
    "test": ("test-annotations-bbox.csv", "test-annotations-bbox.csv.gz"),
}
NAMES = ("class-descriptions-boxable.csv", "oidv7-class-descriptions-boxable.csv")
GROUP = ("0", "1", "-1")
"""Values of `IsGroupOf`: no, yes, and not known, which OpenImages writes where nobody looked."""
FOLDERS = {"train": "train", "val": "validation", "test": "test"}


class OpenImages(BoxSource):
    """OpenImages boxes, versions 5 to 7; `crowd` marks `IsGroupOf`.

    The lists give no picture sizes: a sample's boxes become pixels from the picture's header, which is read when the
    sample is taken.

    Args:
        root: the folder with the csv lists and the folders of pictures.
    """

    on_disk: ClassVar[bool] = True
    card = Card(
        "openimages",
        "OpenImages boxes",
        "CC BY 4.0 (annotations, Google LLC); the pictures are listed as CC BY 2.0",
        "https://storage.googleapis.com/openimages/web/index.html",
        "Kuznetsova et al. 2020, The Open Images Dataset V4",
        {
            "train": {"images": 1_743_042, "boxes": 14_610_229},
            "val": {"images": 41_620, "boxes": 303_980},
            "test": {"images": 125_436, "boxes": 937_327},
        },
        (
            "oidv6-train-annotations-bbox.csv (or train-annotations-bbox.csv)",
            "validation-annotations-bbox.csv, test-annotations-bbox.csv",
            "class-descriptions-boxable.csv (or oidv7-class-descriptions-boxable.csv)",
            "train/ID.jpg, validation/ID.jpg, test/ID.jpg",
        ),
        "https://storage.googleapis.com/openimages/web/download_v7.html",
        "sizes count pictures that have a box",
    )

    def files(self) -> Sequence[Expected]:
        """The two csv lists and the folder of pictures."""
        return [
            Expected(first_existing(self.root, BOXES[self.split]), "boxes"),
            Expected(first_existing(self.root, NAMES), "names of classes"),
            Expected(FOLDERS[self.split], "the pictures", "folder"),
        ]

    def records(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Rows of the pictures, boxes between 0 and 1.

        Raises:
            DataError: a column is missing, a class has no name, or a picture's lines do not adjoin.
        """
        labels = self._labels()
        path = Path(self.root, first_existing(self.root, BOXES[self.split]))
        seen: set[str] = set()
        for image_id, rows in groupby(read_table(path, delimiter=","), key=lambda row: _cell(row, "ImageID")):
            if image_id in seen:
                raise DataError(
                    f"the lines of picture {image_id!r} do not adjoin", where=str(path), fix="sort the file"
                )
            seen.add(image_id)
            boxes = [box for row in rows if (box := _box(row, labels, faults)) is not None]
            yield self.boxed(image_id, f"{FOLDERS[self.split]}/{image_id}.jpg", boxes, faults)

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """The picture with its regions in pixels; reads the picture's header.

        Raises:
            DataError: the picture is missing or damaged.
        """
        image = FileImage(self.root, row["image"])
        width, height = picture_size(image)
        regions = tuple(_scaled(self.region(box), width, height) for box in row["boxes"])
        fields = {"width": width, "height": height}
        return Sample(row["name"], (image,), (), row["name"], regions, fields=fields)

    def _labels(self) -> dict[str, str]:
        path = Path(self.root, first_existing(self.root, NAMES))
        rows = read_table(path, columns=("label", "name"), delimiter=",")
        # Version 7 has a header, earlier ones have none.
        named = ((row["label"], need(row, "name", str, where)) for where, row in rows if row["label"] != "LabelName")
        return unique(named, "the class", str(path))


def _cell(row: tuple[str, Mapping[str, str]], column: str) -> str:
    where, cells = row
    if column not in cells:
        raise DataError(f"no column {column!r}; there are {', '.join(cells)}", where=where)
    return cells[column]


def _box(row: tuple[str, Mapping[str, str]], labels: Mapping[str, str], faults: Faults) -> dict[str, Any] | None:
    where = row[0]
    try:
        left, right, top, low = (float(_cell(row, column)) for column in ("XMin", "XMax", "YMin", "YMax"))
    except ValueError as error:
        raise DataError(f"a coordinate is not a number: {error}", where=where) from error
    label = _cell(row, "LabelName")
    if label not in labels:
        raise DataError(f"the class {label!r} has no name", where=where, fix=f"is {NAMES[0]} of the same version?")
    box = clean_box([left, top, right - left, low - top], where, faults, size=(1, 1))
    crowd = row[1].get("IsGroupOf", "0")
    if crowd not in GROUP:
        raise DataError(f"IsGroupOf is {crowd!r}, expected 0 or 1", where=where)
    return None if box is None else box_row(box, [labels[label].lower()], crowd=crowd == "1")


def _scaled(region: Region, width: int, height: int) -> Region:
    x, y, w, h = region.box
    return Region((x * width, y * height, w * width, h * height), region.text, region.kind, region.crowd)
