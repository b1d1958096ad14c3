"""The boxes that a run finds for texts about a picture, beside the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.bench.engine import Engine
from vlzoo.bench.grounding.maps import box_predictor
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError
from vlzoo.explain.draw import fit, outlined
from vlzoo.explain.figure import Cell, Sheet
from vlzoo.explain.subject import BATCH, Said, Subject
from vlzoo.metrics.grounding import IOU_AT, RULES, iou
from vlzoo.runs.run import Run
from vlzoo.types import Box

COLUMNS, WIDTH = 4, 3.2
"""Most cells in a row of a sheet, and their width in inches: phrases are longer than words."""
FOUND, TRUE = (213, 94, 0), (86, 180, 233)
"""Colours that colour-blind readers can tell apart (Okabe and Ito): vermilion, sky blue."""

RULE = RULES[0]
"""How overlaps are counted: as `vlzoo bench grounding` counts them."""


@dataclass(frozen=True)
class Found:
    """What a run found for a text.

    Attributes:
        said: the text, with its true boxes.
        box: x, y, width, height in pixels of the stored picture; it may reach beyond the picture.
        overlap: IoU with each of the true boxes.
    """

    said: Said
    box: Box
    overlap: tuple[float, ...]

    @property
    def best(self) -> float | None:
        """The greatest overlap; None where no true box is known."""
        return max(self.overlap, default=None)


def find_boxes(engine: Engine, subject: Subject) -> list[Found]:
    """The box that a run finds for each text, as `vlzoo bench grounding` does.

    Raises:
        CheckpointError: no objective of the run offers `boxes`.
        DataError: the picture can't be read.
    """
    predict = box_predictor(engine)
    if predict is None:
        raise CheckpointError(
            f"no objective of this run offers boxes (its objectives: {', '.join(engine.recipe.active) or 'none'})",
            fix=_instead(engine),
        )
    rows = [Sample(str(row), (subject.picture,), (said.text,)) for row, said in enumerate(subject.said)]
    boxes = [box for samples, batch in engine.batches(rows, BATCH) for box in predict(batch, samples)]
    return [_found(said, box) for said, box in zip(subject.said, boxes, strict=True)]


def _instead(engine: Engine) -> str:
    inside = Run(engine.run).finetuned("grounding").folder if engine.run else Path()
    if engine.run and inside.is_dir():
        return f"explain what was fine-tuned inside it: --run {inside}"
    return (
        "explain a run whose objectives offer `boxes`, as X-VLM's `box` does; or leave --boxes out: maps of its words"
    )


def _found(said: Said, box: Sequence[float]) -> Found:
    x, y, width, height = map(float, box)
    overlap = tuple(float(iou([box], [true], RULE)[0]) for true in said.true)
    return Found(said, (x, y, width, height), overlap)


def boxes_sheet(subject: Subject, runs: Sequence[tuple[str, Sequence[Found]]]) -> Sheet:
    """The picture, and for every text what each run found, with the true boxes.

    Args:
        subject: the picture and its texts.
        runs: each run's name, and what it found for every text.
    """
    stored = np.asarray(subject.picture.open())
    cells = [Cell(fit(stored), "picture")]
    for place, said in enumerate(subject.said):
        for name, found in runs:
            title = said.text if len(runs) == 1 else f"{name}: {said.text}"
            cells.append(Cell(_drawn(stored, found[place]), title, box_text(found[place])))
    title = subject.said[0].text if len(subject.said) == 1 else f"{len(subject.said)} texts about {subject.name}"
    lines = [boxes_line(found, name if len(runs) > 1 else "") for name, found in runs]
    return Sheet(cells, min(COLUMNS, len(cells)), title, lines, _foot(subject), WIDTH)


def _drawn(stored: Any, found: Found) -> Any:
    """The true boxes wide and below, so that both can be seen where they meet."""
    drawn = fit(stored)
    scale = drawn.shape[1] / stored.shape[1], drawn.shape[0] / stored.shape[0]
    for box in found.said.true:
        drawn = outlined(drawn, box, scale, TRUE, width=9)
    return outlined(drawn, found.box, scale, FOUND, width=4)


def _foot(subject: Subject) -> str:
    told = f"Orange: the box found{'; wide and blue: the true one' if any(s.true for s in subject.said) else ''}."
    return told + (f" {subject.left_out} more texts of the sample are not drawn." if subject.left_out else "")


def box_text(found: Found) -> str:
    """A box, and its overlap where the true one is known, in words."""
    x, y, width, height = found.box
    told = f"{width:.1f} x {height:.1f} at {x:.1f}, {y:.1f}"
    return told if found.best is None else f"IoU {found.best:.2f}; {told}"


def boxes_line(found: Sequence[Found], name: str = "") -> str:
    """What a run found, in a line: the box, or how many of several are right."""
    head, known = f"{name}: " if name else "", [each.best for each in found if each.best is not None]
    if len(found) == 1:
        return f"{head}{box_text(found[0])}"
    if not known:
        return f"{head}{len(found)} boxes"
    right = sum(value >= IOU_AT for value in known)
    return f"{head}{right} of {len(known)} boxes right (IoU {IOU_AT} or more), mean IoU {np.mean(known):.2f}"


def box_figures(found: Sequence[Found]) -> list[dict[str, Any]]:
    """What a run found as plain values; boxes are x, y, width, height in pixels of the stored picture."""
    return [
        {
            "text": each.said.text,
            "box": list(each.box),
            "true": [list(box) for box in each.said.true],
            "iou": list(each.overlap),
        }
        for each in found
    ]
