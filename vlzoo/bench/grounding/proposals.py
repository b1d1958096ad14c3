"""The boxes that a map chooses among: annotated ones, or those of a detector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlzoo.data.cleaning import box_numbers
from vlzoo.data.fields import identifier, need, typed
from vlzoo.data.reading import read_json
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.types import Box


@dataclass(frozen=True)
class Proposals:
    """Boxes by the name of a picture (or of a reference, as in ALBEF's `dets.json`).

    Attributes:
        boxes: name -> boxes, x, y, width, height in pixels.
    """

    boxes: Mapping[str, Sequence[Box]]

    def of(self, sample: Sample) -> list[Box]:
        """The boxes of a sample's picture; none where nothing was proposed."""
        names = (sample.image_id, sample.fields.get("ref_id"), sample.name)
        found = next((self.boxes[str(name)] for name in names if str(name) in self.boxes), ())
        return list(found)


def proposals_of(source: Any, file: Path | None = None) -> Proposals:
    """What a map may choose among.

    The boxes of `file`; else all objects annotated in the source's `instances.json`; else the boxes that the
    source's own expressions mean.

    Raises:
        DataError: the file can't be read, is of another form, or has no box for some picture.
    """
    if file is not None:
        return _checked(Proposals(_read(file)), source, file)
    if hasattr(source, "instances_file") and source.place(source.instances_file()).is_file():
        return _checked(Proposals(_annotated(source.place(source.instances_file()))), source, source.name)
    boxes: dict[str, dict[Box, None]] = defaultdict(dict)
    for sample in source:
        boxes[sample.image_id or sample.name] |= {region.box: None for region in sample.regions}
    return Proposals({name: list(found) for name, found in boxes.items()})


def _checked(proposals: Proposals, source: Any, where: object) -> Proposals:
    bare = [sample.name for sample in source if not proposals.of(sample)]
    if bare:
        fix = "give boxes by image_id or ref_id, [x, y, width, height] in pixels"
        raise DataError(f"{len(bare)} expressions without a proposed box, first {bare[0]}", where=str(where), fix=fix)
    return proposals


def _annotated(file: Path) -> dict[str, list[Box]]:
    boxes = defaultdict[str, list[Box]](list)
    for number, note in enumerate(need(read_json(file, dict), "annotations", list, str(file))):
        where = f"{file}: annotations[{number}]"
        image_id = identifier(typed(note, dict, where, "the entry"), "image_id", where)
        boxes[image_id].append(box_numbers(need(note, "bbox", list, where), where))
    return boxes


def _read(file: Path) -> dict[str, list[Box]]:
    whole = read_json(file)
    if not isinstance(whole, dict) or not all(isinstance(found, list) for found in whole.values()):
        raise DataError("not boxes by picture", where=str(file), fix='{"391895": [[x, y, width, height], ...], ...}')
    return {name: [_box(each, f"{file}: {name}[{i}]") for i, each in enumerate(found)] for name, found in whole.items()}


def _box(value: Any, where: str) -> Box:
    """A detector's box: four numbers, its score perhaps behind them, or an object that holds such under `box`."""
    box = need(value, "box", list, where) if isinstance(value, dict) else value
    return box_numbers(box[:4] if isinstance(box, list) else box, where)
