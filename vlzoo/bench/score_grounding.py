"""Scoring boxes for referring expressions: RefCOCO, RefCOCO+, RefCOCOg."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.bench.predictions import Refused, Row, collect, fingerprint, read_bytes, read_json, read_rows, text_id
from vlzoo.bench.score_base import Inputs, Scored, Sheet
from vlzoo.errors import DataError, did_you_mean
from vlzoo.metrics.grounding import IOU_AT, iou, points_in_boxes

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Reference:
    """What an expression means.

    Attributes:
        box: x, y, width, height in pixels.
        image: the picture, over which intervals are drawn.
        split: `val`, `testA`, `testB`; empty where the file names none.
        sentences: ids of its expressions, where the file has them.
    """

    box: Box
    image: str
    split: str
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A predicted box, and the map's highest point where one was given."""

    box: Box
    point: tuple[float, float] | None


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, dicts, numbers and strings; anything that would run code is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def score_grounding(inputs: Inputs) -> Scored:
    """Accuracy at IoU 0.5, in all and per split.

    Predictions: `{"ref_id", "box": [x, y, w, h]}`, or with `sent_id` where each expression has its own answer; an
    optional `"point": [x, y]` also gets the pointing game. Annotations: rows of `{"ref_id", "box" or "bbox"}`, with
    `image_id` and `split` if there are any, or refer's `refs(...).p` with `instances.json` beside it (or as
    --questions).
    """
    if inputs.annotations is None:
        raise DataError("this task needs --annotations")
    references = _wanted(_references(inputs.annotations, inputs.questions), inputs.splits)
    if any("sent_id" in row for row, _ in read_rows(inputs.predictions)):
        key, references = "sent_id", {name: ref for ref in references.values() for name in ref.sentences}
    else:
        key = "ref_id"
    found = collect(
        inputs.predictions, lambda row: text_id(row, key), _answer, references, allow_missing=inputs.allow_missing
    )
    sheet = Sheet("grounding", f"grounding/{inputs.protocol}", fingerprint(inputs.annotations))
    return _figures(sheet, references, found.values, len(found.missing), inputs.protocol)


def _figures(
    sheet: Sheet, references: Mapping[str, Reference], answers: Mapping[str, Answer], missing: int, rule: str
) -> Scored:
    nowhere = (0.0, 0.0, 0.0, 0.0)
    said = [answers[name].box if name in answers else nowhere for name in references]
    truth = [ref.box for ref in references.values()]
    overlap = iou(said, truth, rule)
    images = [ref.image for ref in references.values()]
    splits = [ref.split for ref in references.values()]
    detail = {"mean IoU": 100.0 * float(overlap.mean())}
    scores = [sheet.hits("accuracy", overlap >= IOU_AT, images, detail=detail)]
    for split in sorted(set(splits) - {""}):
        rows = [row for row, name in enumerate(splits) if name == split]
        scores.append(sheet.hits(f"accuracy {split}", overlap[rows] >= IOU_AT, [images[row] for row in rows]))
    if any(answer.point for answer in answers.values()):
        hit = _pointing([answers.get(name) for name in references], truth)
        scores.append(sheet.hits("pointing", hit, images))
    return Scored(tuple(scores), missing, (f"a box is right from IoU {IOU_AT} on, by the {rule} rule",))


def _pointing(answers: Sequence[Answer | None], truth: Sequence[Box]) -> np.ndarray:
    """True where a point was given and lies in the true box, [n]."""
    outside = (-np.inf, -np.inf)
    return points_in_boxes([answer.point or outside if answer else outside for answer in answers], truth)


def _answer(row: Row) -> Answer:
    box = row["box"] if "box" in row else row["bbox"]
    if not _numbers(box, 4) or min(box[2:]) < 0:
        raise Refused("boxes that are not four finite numbers x, y, w, h with w, h >= 0", box)
    point = row.get("point")
    if point is not None and not _numbers(point, 2):
        raise Refused("points that are not two finite numbers x, y", point)
    return Answer(tuple(box), tuple(point) if point is not None else None)


def _numbers(value: Any, count: int) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return False
    return all(isinstance(n, (int, float)) and not isinstance(n, bool) and np.isfinite(n) for n in value)


def _wanted(references: Mapping[str, Reference], splits: Sequence[str]) -> dict[str, Reference]:
    """The references of the splits asked for, or of all but train."""
    known = sorted({ref.split for ref in references.values()} - {""})
    for split in splits:
        if split not in known:
            raise DataError(f"no split called {split!r} in the annotations", fix=did_you_mean(split, known))
    kept = splits or [split for split in (*known, "") if split != "train"]
    return {name: ref for name, ref in references.items() if ref.split in kept}


def _references(path: Path, instances: Path | None) -> dict[str, Reference]:
    references: dict[str, Reference] = {}
    for name, ref, where in _read_refs(path, instances):
        if name in references:
            raise DataError(f"reference {name} is annotated twice", where=where)
        references[name] = ref
    return references


def _read_refs(path: Path, instances: Path | None) -> Iterator[tuple[str, Reference, str]]:
    rows = _refer_rows(path) if path.name.removesuffix(".gz").endswith(".p") else read_rows(path, "refs")
    boxes = _boxes(instances or path.parent / "instances.json") if "ann_id" in rows[0][0] else {}
    for row, where in rows:
        box = row.get("box", row.get("bbox", boxes.get(row.get("ann_id"))))
        if "ref_id" not in row or not _numbers(box, 4):
            fix = "a row reads {ref_id, bbox: [x, y, w, h]}, or {ref_id, ann_id} with refer's instances.json"
            raise DataError("no ref_id with a box here", where=where, fix=fix)
        sentences = tuple(str(one["sent_id"]) for one in row.get("sentences", ()))
        image = str(row.get("image_id", row.get("image", row["ref_id"])))
        sentences = sentences or ((str(row["sent_id"]),) if "sent_id" in row else ())
        yield str(row["ref_id"]), Reference(tuple(box), image, str(row.get("split", "")), sentences), where


def _refer_rows(path: Path) -> list[tuple[Row, str]]:
    """refer's pickled list, read without running any code in it."""
    try:
        rows = _PlainUnpickler(io.BytesIO(read_bytes(path)), encoding="utf-8").load()
    except (pickle.UnpicklingError, EOFError, UnicodeDecodeError, ValueError, IndexError, KeyError) as error:
        raise DataError(f"not a plain pickle: {error}", where=str(path), fix="convert it to JSON") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError("not a list of references", where=str(path))
    return [(row, f"{path}:[{number}]") for number, row in enumerate(rows)]


def _boxes(path: Path) -> dict[Any, Any]:
    """Annotation id -> box, from a COCO instances file."""
    whole = read_json(path)
    notes = whole.get("annotations") if isinstance(whole, dict) else None
    if not isinstance(notes, list):
        raise DataError("no list of annotations", where=str(path), fix="give refer's instances.json as --questions")
    return {note["id"]: note["bbox"] for note in notes}
