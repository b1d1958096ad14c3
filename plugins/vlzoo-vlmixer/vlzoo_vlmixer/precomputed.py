"""Detector `precomputed`: regions that somebody else detected, from the files they are handed around in. No torch here.

*Bottom-up attention* (Anderson et al., 2018): lines of tab-separated values without a header: `image_id`, `image_w`,
`image_h`, `num_boxes`, `boxes`, `features`; LXMERT's (Tan and Bansal, 2019) with `objects_id`, `objects_conf` and two
of attributes before the last three, height before width. Boxes are left, top, right, bottom in pixels; numbers are
float32 (ids int64) in base64.

*VinVL* (Zhang et al., 2021): a folder with `features.tsv`, lines of an id and `{"num_boxes", "features"}` or of an id,
the number and the features, float32 in base64: F numbers, then six of the box (x1/W, y1/H, x2/W, y2/H, w/W, h/H); and
`predictions.tsv` (or `labels.tsv`), lines of an id and `{"image_w", "image_h", "objects": [{"class", "conf"}]}`, or the
list alone. `features.lineidx`, where each line begins, spares reading the features once to find that out.

Legend: R regions, F width of a feature.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.derived import picture_key
from vlzoo.data.features import Features
from vlzoo.data.records import Shown
from vlzoo.data_parts import Detector
from vlzoo.errors import DataError
from vlzoo_vlmixer.names import read_names
from vlzoo_vlmixer.tsv import Lines

BOTTOM_UP = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT = (
    *("image_id", "image_h", "image_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf"),
    *("num_boxes", "boxes", "features"),
)
BOX = 6
"""Numbers of a box behind VinVL's features."""
LABELS = ("predictions.tsv", "labels.tsv", "label.tsv", "prediction.tsv")
FEATURES = ("features.tsv", "feature.tsv")


class Precomputed(Detector):
    """Regions from files: bottom-up attention's TSV, LXMERT's, or a folder of VinVL's. Pictures are not opened.

    A picture is found by its id in the data, or by its file's name: `391895`, `COCO_val2014_000000391895`.

    >>> Precomputed(files=folder / "found.tsv").detect([shown])[0].features.shape
    (1, 3)

    Args:
        files: the TSV file, or VinVL's folder.
        classes: file with the name of a class a line, for files that number them (LXMERT's).
        least: the least score of a region.
        most: the most regions of a picture, the surest first; None: all, in the file's order.

    Raises:
        DataError: a file is missing, or malformed.
    """

    def __init__(
        self, *, files: str | Path, classes: str | Path | None = None, least: float = 0.0, most: int | None = None
    ) -> None:
        place = Path(files)
        if not place.exists():
            raise DataError("there is no such file or folder", where=str(files), fix="is the path right?")
        names = () if classes is None else read_names(classes)
        self._files: BottomUp | VinVL = VinVL(place) if place.is_dir() else BottomUp(place, names)
        self.least, self.most = least, most

    def detect(self, pictures: Sequence[Shown]) -> list[Features]:
        """Regions, as the files have them."""
        return [self._of(shown) for shown in pictures]

    def _of(self, shown: Shown) -> Features:
        names = [shown.image_id, picture_key(shown.image.name), Path(shown.image.name).stem]
        found = self._files.of(names)
        if found is None:
            what = f"the files hold no regions of this picture: neither {' nor '.join(dict.fromkeys(names))}"
            raise DataError(what, where=shown.image.name, fix="name the files of this data and split")
        if not len(found.features):
            return replace(found, features=np.zeros((0, self._width), np.float32))
        return found.best(self.least, self.most) if self.least or self.most is not None else found

    @cached_property
    def _width(self) -> int:
        """F, of the first picture that has a region: a line without any does not tell it."""
        return next((width for width in self._files.widths() if width), 0)


class BottomUp:
    """Bottom-up attention's lines, and LXMERT's."""

    def __init__(self, file: Path, names: Sequence[str]) -> None:
        self.lines, self.names = Lines(file), names

    def of(self, keys: Sequence[str]) -> Features | None:
        """The regions of a picture that goes by one of some names; None where there is none."""
        found = self.lines.of(keys)
        return None if found is None else self._regions(*found)

    def widths(self) -> Iterator[int]:
        """F of one picture after the other, 0 where it has no region."""
        return (self._regions(*line).features.shape[1] for line in self.lines)

    def _regions(self, values: Sequence[str], where: str) -> Features:
        columns = {len(BOTTOM_UP): BOTTOM_UP, len(LXMERT): LXMERT}.get(len(values))
        if columns is None:
            what = f"a line of {len(values)} columns, and {len(BOTTOM_UP)} or {len(LXMERT)} are expected"
            raise DataError(what, where=where, fix="is it bottom-up attention's file, or LXMERT's?")
        row = dict(zip(columns, values, strict=True))
        count, size = _whole(row["num_boxes"], where), (_whole(row["image_w"], where), _whole(row["image_h"], where))
        boxes = numbers(row["boxes"], count, where, "boxes", width=4)
        features = numbers(row["features"], count, where, "features")
        labels, scores = self._labels(row, count, where)
        across, down = size
        share = boxes / np.array([across, down, across, down], np.float32)
        return Features(features, share.clip(0, 1).astype(np.float32), labels, scores, size)

    def _labels(
        self, row: Mapping[str, str], count: int, where: str
    ) -> tuple[tuple[str, ...], NDArray[np.float32] | None]:
        if "objects_id" not in row:
            return ("",) * count, None
        ids = numbers(row["objects_id"], count, where, "objects_id", width=1, kind=np.int64)[:, 0]
        scores = numbers(row["objects_conf"], count, where, "objects_conf", width=1)[:, 0].clip(0, 1)
        if not self.names:
            fix = "set detector.classes: a file with the name of a class a line"
            raise DataError("the file numbers its classes, and their names are not known", where=where, fix=fix)
        if count and not 0 <= int(ids.min()) <= int(ids.max()) < len(self.names):
            raise DataError(f"a class of number {int(ids.max())}, and {len(self.names)} names are given", where=where)
        return tuple(self.names[number] for number in ids), scores


class VinVL:
    """A folder of VinVL's."""

    def __init__(self, folder: Path) -> None:
        self.features = Lines(_first(folder, FEATURES, "VinVL's features"))
        self.labels = Lines(_first(folder, LABELS, "VinVL's labels and scores"))

    def of(self, keys: Sequence[str]) -> Features | None:
        """The regions of a picture that goes by one of some names; None where there is none."""
        found, said = self.features.of(keys), self.labels.of(keys)
        if found is None or said is None:
            return None
        whole = self._whole(*found)
        count = len(whole)
        told = _json(said[0][1], said[1])
        about = told if isinstance(told, dict) else {"objects": told}
        objects = about.get("objects", [])
        if not isinstance(objects, list) or len(objects) != count:
            raise DataError(f"{len(objects)} labels for {count} regions", where=said[1], fix="are both of one run?")
        labels = tuple(str(each.get("class", "")) for each in objects)
        scores = np.array([float(each.get("conf", 1.0)) for each in objects], np.float32).clip(0, 1)
        size = (int(about["image_w"]), int(about["image_h"])) if "image_w" in about and "image_h" in about else None
        width = max(0, whole.shape[1] - BOX)
        boxes = whole[:, width : width + 4].clip(0, 1) if count else np.zeros((0, 4), np.float32)
        return Features(whole[:, :width], boxes, labels, scores, size)

    def widths(self) -> Iterator[int]:
        """F of one picture after the other, 0 where it has no region."""
        return (max(0, self._whole(*line).shape[1] - BOX) for line in self.features)

    def _whole(self, values: Sequence[str], where: str) -> NDArray[np.float32]:
        """Features with their boxes, [R, F + 6]."""
        if len(values) == 2:
            held = _json(values[1], where)
            if not isinstance(held, dict):
                raise DataError("an object with num_boxes and features is expected", where=where)
            count, packed = _whole(held.get("num_boxes"), where), str(held.get("features", ""))
        else:
            count, packed = _whole(values[1], where), values[2]
        whole = numbers(packed, count, where, "features")
        if count and whole.shape[1] <= BOX:
            raise DataError(f"{whole.shape[1]} numbers a region, and {BOX} of them are of the box", where=where)
        return whole


def numbers(
    packed: str, count: int, where: str, what: str, width: int | None = None, kind: type[np.generic] = np.float32
) -> NDArray[Any]:
    """Numbers in base64 as `count` rows; of `width` columns, or as many as there are.

    Raises:
        DataError: no base64, or another count of numbers.
    """
    try:
        flat = np.frombuffer(base64.b64decode(packed, validate=True), kind)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{what} can't be read: {error}", where=where) from error
    columns = width if width is not None else (len(flat) // count if count else 0)
    if count * columns != len(flat) or (count and not columns):
        expected = f"{count} times {width}" if width is not None else f"a multiple of {count}"
        raise DataError(f"{what} of {len(flat)} numbers, and {expected} are expected", where=where)
    return flat.reshape(count, columns).copy()


def _first(folder: Path, names: Sequence[str], what: str) -> Path:
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise DataError(f"{what} are missing: {' or '.join(names)}", where=str(folder))
    return found


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=where) from None


def _whole(value: Any, where: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise DataError(f"{value!r} where a whole number is expected", where=where) from None
