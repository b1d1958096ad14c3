"""Grounding: which box of a picture an expression means (RefCOCO, RefCOCO+, RefCOCOg).

Weakly supervised as ALBEF's `Grounding.py`: the Grad-CAM map of the matching score chooses among proposed boxes. Models
with an objective that predicts boxes answer by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vlzoo.bench.grounding.proposals import Proposals, proposals_of
from vlzoo.data.predictions import Files, Refused, fingerprint, row_id
from vlzoo.data.readers.refcoco_boxes import annotated, are_numbers
from vlzoo.data.records import Sample, Told
from vlzoo.data.tables import read_rows
from vlzoo.errors import CheckpointError, DataError, did_you_mean
from vlzoo.metrics.figures import Figures, Score, Scored
from vlzoo.metrics.grounding import IOU_AT, RULES, best_box, energy_in_box, iou, pointing_hit, points_in_boxes
from vlzoo.task import Effort, Task, in_order
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel

NOWHERE = [0.0, 0.0, 0.0, 0.0]
MODES = ("gradcam", "boxes")


class Grounding(Task):
    """Accuracy at IoU 0.5; for maps also the pointing game and the share of the map's energy inside the box.

    Args:
        protocol: `pixel`, the official rule of lichengunc/refer, or `continuous`.
        mode: `gradcam` for any model with cross-attention and a matching head; `boxes` for a model whose objective
            predicts boxes; empty: boxes where the model can.
        proposals: a file of boxes for each picture, among which a map chooses; empty: the data's own.
        splits: score these splits only, where a file holds several; none: all but train.
        questions: REFER's instances.json, where it does not lie beside the file of references.
    """

    name = "grounding"
    protocols = RULES
    finetuned = False

    def __init__(
        self,
        *,
        protocol: str = "",
        mode: Literal["", "gradcam", "boxes"] = "",
        proposals: str = "",
        splits: Sequence[str] = (),
        questions: str = "",
    ) -> None:
        super().__init__(protocol=protocol)
        self.mode = self.choice("mode", mode, MODES) if mode else ""
        self.proposals, self.questions, self.by = proposals, questions, "ref_id"
        self.splits = [splits] if isinstance(splits, str) else list(splits)

    def kept(self) -> Mapping[str, Any]:
        """How boxes are found, and among which."""
        return {"mode": self.mode, "proposals": fingerprint(Path(self.proposals)) if self.proposals else None}

    def blank(self, sample: Sample) -> Row | None:
        """A box that overlaps nothing."""
        return {"name": sample.name, "box": NOWHERE}

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """A box for each expression; by a map, also where its highest point is and how much of it is inside.

        Raises:
            CheckpointError: the model can do neither.
        """
        from vlzoo.bench.grounding.maps import box_predictor, mapper

        boxes = box_predictor(model)
        if self.mode == "boxes" and boxes is None:
            raise CheckpointError("this model has no objective that predicts boxes", fix="give --mode gradcam")
        if boxes is not None and self.mode != "gradcam":
            for samples, batch in model.batches(source, effort.batch, done):
                found = boxes(batch, samples)
                yield [{"name": s.name, "box": box, "mode": "boxes"} for s, box in zip(samples, found, strict=True)]
            return
        maps, proposed = mapper(model), proposals_of(source, Path(self.proposals) if self.proposals else None)
        for samples, batch in model.batches(source, effort.batch, done):
            made = maps(batch, [sample.images[0].open().size for sample in samples])
            yield [_row(sample, heat, proposed) for sample, heat in zip(samples, made, strict=True)]

    def read(self, files: Files) -> tuple[Any, dict[str, Row], int]:
        """References, or expressions where each has an answer of its own (`sent_id`)."""
        by_expression = files.source is not None or (files.annotations and _has_sentences(files.predictions))
        self.by = "sent_id" if by_expression else "ref_id"
        return super().read(files)

    def annotated(self, file: Path) -> Iterable[Sample]:
        """Rows of `{"ref_id", "box" or "bbox"}`, or refer's `refs(...).p`; of the splits asked for, else not train."""
        instances = Path(self.questions) if self.questions else None
        found = list(annotated(file, instances=instances, expressions=self.by == "sent_id"))
        known = sorted({sample.fields["split"] for sample in found} - {""})
        for split in self.splits:
            if split not in known:
                raise DataError(f"no split called {split!r} in the annotations", fix=did_you_mean(split, known))
        kept = self.splits or [split for split in (*known, "") if split != "train"]
        return [sample for sample in found if sample.fields["split"] in kept]

    def sample_key(self, sample: Sample) -> str:
        """The expression's own id; of a file of references the reference's."""
        return sample.name

    def row_key(self, row: Mapping[str, Any]) -> str:
        """`{"ref_id", "box": [x, y, w, h]}`, or with `sent_id`."""
        return row_id(row, self.by)

    def row(self, row: Mapping[str, Any]) -> Row:
        """The box, and the map's highest point where one was given."""
        box, point = row["box"] if "box" in row else row["bbox"], row.get("point")
        if not are_numbers(box, 4) or min(box[2:]) < 0:
            raise Refused("boxes that are not four finite numbers x, y, w, h with w, h >= 0", box)
        if point is not None and not are_numbers(point, 2):
            raise Refused("points that are not two finite numbers x, y", point)
        return {"box": list(box), **({"point": list(point)} if point is not None else {})}

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """The expression, both boxes, and how far they overlap."""
        plainly = super().told(samples, rows)

        def tell(sample: Sample) -> Told:
            x, y, width, height = rows[sample.name]["box"]
            overlap = float(iou([[x, y, width, height]], [target(sample)], self.protocol)[0])
            return replace(plainly(sample), said=f"IoU {overlap:.2f}", boxes=((x, y, width, height), target(sample)))

        return tell

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy with its interval over pictures, by split where samples name one; pointing and energy of maps."""
        pairs = in_order(samples, rows)
        images = [str(sample.image_id or sample.fields.get("ref_id", sample.name)) for sample, _ in pairs]
        truth = [target(sample) for sample, _ in pairs]
        overlap = iou([row["box"] for _, row in pairs], truth, self.protocol)
        figures = Figures(self.name, f"{self.name}/{self.protocol}")
        detail = {"mean IoU": 100.0 * float(overlap.mean())}
        scores = [figures.hits("accuracy", overlap >= IOU_AT, images, detail=detail)]
        splits = [str(sample.fields.get("split", "")) for sample, _ in pairs]
        for split in sorted(set(splits) - {""}):
            inside = [number for number, name in enumerate(splits) if name == split]
            scores.append(
                figures.hits(f"accuracy ({split})", overlap[inside] >= IOU_AT, [images[number] for number in inside])
            )
        notes = [f"a box is right from IoU {IOU_AT} on, by the {self.protocol} rule"]
        answers = [row for _, row in pairs]
        mode = next((row["mode"] for row in answers if "mode" in row), self.mode)  # the model's, where none was asked
        whole = (*scores, *_map_figures(figures, answers, truth, images))
        return Scored(whole, notes=(*notes, *_chance(answers)), settings={"mode": mode or None})


def _has_sentences(file: Path) -> bool:
    return any("sent_id" in row for _, row in read_rows(file))


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
        "mode": "gradcam",
        "proposals": len(boxes),
        "point": [float(column) + 0.5, float(row) + 0.5],
        "pointing": pointing_hit(heat_HW, box),
        "energy": energy_in_box(heat_HW, box),
    }


def _map_figures(
    figures: Figures, answers: Sequence[Row], truth: Sequence[Sequence[float]], images: Sequence[str]
) -> Iterator[Score]:
    """The pointing game where points were given, and energy where maps were."""
    if not any("point" in row for row in answers):
        return
    outside = (-np.inf, -np.inf)
    hit = points_in_boxes([row.get("point", outside) for row in answers], truth)
    # A map's own verdict stands in its row; a file of points alone is judged here, by the same rule.
    own = [bool(row.get("pointing", hit[number])) for number, row in enumerate(answers)]
    yield figures.hits("pointing", own, images)
    if any("energy" in row for row in answers):
        yield figures.mean("energy in box", [100.0 * row.get("energy", 0.0) for row in answers], images)


def _chance(rows: Sequence[Row]) -> tuple[str, ...]:
    counts = np.array([row["proposals"] for row in rows if "proposals" in row])
    if not len(counts):
        return ()
    chance = float(np.where(counts > 0, 1.0 / np.maximum(counts, 1), 0.0).mean())
    return (f"Grad-CAM chose among {counts.mean():.1f} boxes a picture; drawing one of them is right in {chance:.1%}",)
