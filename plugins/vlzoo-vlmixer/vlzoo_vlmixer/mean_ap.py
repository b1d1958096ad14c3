"""The mean average precision of a detector, as COCO's own evaluation measures it (`pycocotools`)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from vlzoo.data.features import Features
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, VlzooError


def mean_ap(samples: Sequence[Sample], found: Sequence[Features], classes: Sequence[str]) -> dict[str, float]:
    """`AP` over overlaps of 0.50 to 0.95, and `AP50`, from 0 to 1.

    Args:
        samples: with the true boxes.
        found: what was detected in each one's picture.
        classes: the labels that count.

    Raises:
        DataError: no sample has a true box.
        VlzooError: neither pycocotools nor faster-coco-eval is installed.
    """
    number = {name: place for place, name in enumerate(classes, start=1)}
    truth = [_true(sample, row, number) for row, sample in enumerate(samples)]
    boxes = [box for each in truth for box in each]
    if not boxes:
        raise DataError("no true boxes to measure a detector by", fix="take a split whose samples have boxes")
    said = [box for row, each in enumerate(found) for box in _found(each, row, number)]
    if not said:
        return {"AP": 0.0, "AP50": 0.0}
    coco, evaluation = _evaluator()
    with redirect_stdout(io.StringIO()):
        whole = coco()
        whole.dataset = {
            "images": [{"id": row} for row in range(len(samples))],
            "categories": [{"id": place, "name": name} for name, place in number.items()],
            "annotations": [{"id": place, **box} for place, box in enumerate(boxes, start=1)],
        }
        whole.createIndex()
        measured = evaluation(whole, whole.loadRes(said), "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    return {"AP": float(measured.stats[0]), "AP50": float(measured.stats[1])}


def _true(sample: Sample, row: int, number: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": row,
            "category_id": number[region.text],
            "bbox": list(region.box),
            "area": region.box[2] * region.box[3],
            "iscrowd": int(region.crowd),
        }
        for region in sample.regions
        if region.text in number
    ]


def _found(regions: Features, row: int, number: dict[str, int]) -> list[dict[str, Any]]:
    across, down = regions.size or (1, 1)
    scores = regions.scores if regions.scores is not None else [1.0] * len(regions.labels)
    made = []
    for box, label, score in zip(regions.boxes.tolist(), regions.labels, scores, strict=True):
        left, top, right, bottom = box[0] * across, box[1] * down, box[2] * across, box[3] * down
        where = {"image_id": row, "category_id": number.get(label, 0), "score": float(score)}
        made.append({**where, "bbox": [left, top, right - left, bottom - top]})
    return [each for each in made if each["category_id"]]


def _evaluator() -> tuple[Any, Any]:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        try:
            from faster_coco_eval import COCO
            from faster_coco_eval import COCOeval_faster as COCOeval
        except ImportError:
            fix = "pip install pycocotools (or faster-coco-eval)"
            raise VlzooError("nothing is installed that measures mean average precision", fix=fix) from None
    return COCO, COCOeval
