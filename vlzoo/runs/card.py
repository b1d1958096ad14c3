"""A card beside weights: where they come from, what may be done with them, and what they are for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vlzoo.errors import CheckpointError


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
        report: what became of the original file's names.
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

    @classmethod
    def read(cls, file: Path) -> WeightsCard:
        """The card in a file that holds what `text` gives.

        Raises:
            CheckpointError: it can't be read.
        """
        try:
            held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            known = {field.name for field in fields(cls)}
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
        rows += [f"resolution: {now}" if was == now else f"resolution: {now}, in the original {was}"]
        rows += [f"licence: {self.licence}", f"parameters: {self.parameters:,}"]
        return [*rows, *(f"sha256: {value}  {name}" for name, value in self.sha256.items())]
