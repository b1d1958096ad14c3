"""A card beside weights: where they come from, what may be done with them, and what they are for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from vlzoo.errors import CheckpointError

CARD = "card.json"
"""The card's name in a run's folder."""


@dataclass(frozen=True)
class WeightsCard:
    """What must be known of weights to use and to cite them.

    Attributes:
        origin: who trained them, with an address.
        lineage: every step from there to here, oldest first.
        kind: what they were trained for: `pretrain`, or a task's name.
        tasks: what they are meant for.
        resolution: side of the pictures in pixels: of the original file, and here.
        licence: as its owner names it.
        sha256: of each file, the original one first.
        parameters: how many numbers the student has.
        report: what became of the original file's names; of an export what was left out.
        recipe: of weights that vlzoo trained, by its name. So are those below.
        seed: the training's.
        samples: how many were shown, of all streams together.
        precision: of the numbers in the file: `fp32`, `fp16`.
        data: what was trained on: `name`, `split`, `samples`, `fingerprint`, `licence` each.
        figures: what `vlzoo bench` found before the export: `task`, `protocol`, `metric`, `value`, `interval`,
            `samples`, `data` each.
        made: `vlzoo`, its version when it was trained; `commit`; the `command`.
    """

    origin: str
    lineage: tuple[str, ...]
    kind: str
    tasks: tuple[str, ...]
    resolution: tuple[int, int]
    licence: str
    sha256: dict[str, str]
    parameters: int
    report: tuple[str, ...]
    recipe: str = ""
    seed: int | None = None
    samples: int = 0
    precision: str = ""
    data: tuple[dict[str, Any], ...] = ()
    figures: tuple[dict[str, Any], ...] = ()
    made: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path | Traversable) -> WeightsCard:
        """The card in a file that holds what `text` gives.

        Raises:
            CheckpointError: it can't be read.
        """
        try:
            held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            known = {each.name for each in fields(cls)}
            given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in held.items() if k in known}
            return cls(**given)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(f"it is no card of weights: {error}", where=str(file), fix="convert again") from error

    def text(self) -> str:
        """The card as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def lines(self) -> list[str]:
        """The card for reading."""
        was, now = self.resolution
        rows = [f"origin: {self.origin}", *(f"lineage: {step}" for step in self.lineage)]
        rows += [f"trained for: {self.kind}; meant for: {', '.join(self.tasks)}"]
        rows += [f"resolution: {now}" if was == now else f"resolution: {now}, in the original {was}"] if now else []
        rows += [f"licence: {self.licence}", f"parameters: {self.parameters:,}"]
        rows += self._training() if self.recipe else []
        return [*rows, *(f"sha256: {value}  {name}" for name, value in self.sha256.items())]

    def _training(self) -> list[str]:
        """How vlzoo trained them, and what was measured."""
        rows = [f"recipe: {self.recipe}, seed {self.seed}, {self.samples:,} samples", f"precision: {self.precision}"]
        rows += [f"data: {each['name']}, {each['samples']:,} samples, {each['fingerprint']}" for each in self.data]
        rows += [f"made by: {name} {value}" for name, value in self.made.items() if value]
        return rows + [f"figure: {figure_line(each)}" for each in self.figures]


def card_of(run: Path | Traversable) -> WeightsCard:
    """The card in the folder of a run that was converted or exported.

    Raises:
        CheckpointError: there is none, or it can't be read.
    """
    return WeightsCard.read(run / CARD)


def figure_line(figure: Mapping[str, Any]) -> str:
    """A figure of a card for reading.

    >>> figure_line({"protocol": "vqa/official", "metric": "accuracy", "value": 53.27, "interval": [51.2, 55.4],
    ...              "samples": 1829, "data": "scenes-vqa/test"})
    'vqa/official accuracy 53.3 (51.2 .. 55.4), 1,829 samples of scenes-vqa/test'
    """
    between = " ({:.1f} .. {:.1f})".format(*figure["interval"]) if figure["interval"] else ""
    measured = f"{figure['protocol']} {figure['metric']} {figure['value']:.1f}{between}"
    return f"{measured}, {figure['samples']:,} samples of {figure['data']}"
