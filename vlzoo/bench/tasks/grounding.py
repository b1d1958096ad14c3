"""Grounding: which box of a picture an expression means (RefCOCO, RefCOCO+, RefCOCOg).

Weakly supervised as ALBEF's `Grounding.py`: the Grad-CAM map of the matching score chooses among proposed boxes. Models
with an objective that predicts boxes answer by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vlzoo.bench.engine import Engine
from vlzoo.bench.score_base import Scored, Sheet
from vlzoo.bench.task import Row, Settings, Task, data_name
from vlzoo.bench.tasks.grounding_proposals import Proposals, proposals_of
from vlzoo.bench.tasks.labelled import in_order
from vlzoo.data.collate import Fields
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, DataError
from vlzoo.metrics.grounding import IOU_AT, RULES, best_box, energy_in_box, iou, pointing_hit
from vlzoo.text.tokenizer import Tokenizer

NOWHERE = [0.0, 0.0, 0.0, 0.0]


class Grounding(Task):
    """Accuracy at IoU 0.5; for maps also the pointing game and the share of the map's energy inside the box.

    Protocols: `pixel`, the official rule of lichengunc/refer, and `continuous`. Modes: `gradcam` for any model with
    cross-attention and a matching head; `boxes` for a model whose objective predicts boxes.
    """

    name = "grounding"
    protocols = RULES
    modes = ("gradcam", "boxes")
    finetuned = False

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """Nothing: a model is trained as for retrieval, or brings its own objective."""
        return Fields()

    def blank(self, sample: Sample) -> Row | None:
        """A box that overlaps nothing."""
        return {"name": sample.name, "box": NOWHERE}

    def predict(self, engine: Engine, source: Any, settings: Settings, done: frozenset[str]) -> Iterator[list[Row]]:
        """A box for each expression; by a map, also where its highest point is and how much of it is inside.

        Raises:
            CheckpointError: the model can do neither.
        """
        boxes = engine.box_predictor()
        if settings.mode == "boxes" and boxes is None:
            raise CheckpointError("this model has no objective that predicts boxes", fix="give --mode gradcam")
        if boxes is not None and settings.mode != "gradcam":
            for samples, batch in engine.batches(source, settings.batch, done):
                found = boxes(batch, samples)
                yield [{"name": s.name, "box": box} for s, box in zip(samples, found, strict=True)]
            return
        maps, proposed = engine.grounder(), proposals_of(source, settings.proposals)
        for samples, batch in engine.batches(source, settings.batch, done):
            made = maps(batch, [sample.images[0].open().size for sample in samples])
            yield [_row(sample, heat, proposed) for sample, heat in zip(samples, made, strict=True)]

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Accuracy with its interval over pictures; pointing and energy where a map answered."""
        pairs = in_order(source, rows)
        images = [sample.image_id or sample.name for sample, _ in pairs]
        overlap = iou([row["box"] for _, row in pairs], [target(sample) for sample, _ in pairs], protocol)
        sheet = Sheet(self.name, f"{self.name}/{protocol}", data_name(source))
        detail = {"mean IoU": 100.0 * float(overlap.mean())}
        scores = [sheet.hits("accuracy", overlap >= IOU_AT, images, detail=detail)]
        notes = [f"a box is right from IoU {IOU_AT} on, by the {protocol} rule"]
        mapped = [row for _, row in pairs if "pointing" in row]
        if mapped:
            filled = [row if "pointing" in row else {"pointing": False, "energy": 0.0} for _, row in pairs]
            scores.append(sheet.hits("pointing", [row["pointing"] for row in filled], images))
            scores.append(sheet.mean("energy in box", [100.0 * row["energy"] for row in filled], images))
            notes.append(_chance(mapped))
        return Scored(tuple(scores), notes=tuple(notes))


def target(sample: Sample) -> tuple[float, float, float, float]:
    """The box an expression means.

    Raises:
        DataError: the sample has none.
    """
    if not sample.regions:
        raise DataError("an expression without a box", where=f"sample {sample.name}", fix="use RefCOCO's readers")
    return sample.regions[0].box


def _row(sample: Sample, heat_HW: np.ndarray, proposed: Proposals) -> Row:
    boxes, box = proposed.of(sample), target(sample)
    chosen = boxes[best_box(heat_HW, boxes)] if boxes else NOWHERE
    row, column = np.unravel_index(int(heat_HW.argmax()), heat_HW.shape)
    return {
        "name": sample.name,
        "box": list(chosen),
        "proposals": len(boxes),
        "point": [float(column) + 0.5, float(row) + 0.5],
        "pointing": pointing_hit(heat_HW, box),
        "energy": energy_in_box(heat_HW, box),
    }


def _chance(rows: Sequence[Row]) -> str:
    counts = np.array([row["proposals"] for row in rows])
    chance = float(np.where(counts > 0, 1.0 / np.maximum(counts, 1), 0.0).mean())
    return f"Grad-CAM chose among {counts.mean():.1f} boxes a picture; drawing one of them is right in {chance:.1%}"
