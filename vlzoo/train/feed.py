"""A stream at work: its batches, the objectives that read them, and what they asked for."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from vlzoo.batch import Batch
from vlzoo.interfaces import Objective
from vlzoo.step.plan import Plan
from vlzoo.types import Losses


@dataclass
class Feed:
    """A stream at work: its batches, the objectives that read them, and what they asked for.

    Attributes:
        name: the stream's name.
        batches: endless.
        objectives: by name.
        plan: gathered from its rows, objectives and augmentation.
        probability: the chance that a step draws it; with `draw: one` in proportion to the others'.
        batch: samples of one of its batches; None: as the recipe says.
        alone: the recipe has no other stream: its figures, draws and faults need no name.
    """

    name: str
    batches: Iterator[Batch]
    objectives: Mapping[str, Objective]
    plan: Plan
    probability: float = 1.0
    batch: int | None = None
    alone: bool = True

    @property
    def label(self) -> str:
        """The name beside its figures, draws and faults; empty where it is alone."""
        return "" if self.alone else self.name

    def close(self) -> None:
        """End its data workers."""
        if isinstance(self.batches, Generator):
            self.batches.close()

    def figures(self, losses: Losses) -> dict[str, Tensor]:
        """What is logged of an update on it: of several streams under the stream's name, `pairs/itm`."""
        return {self.called(name): value for name, value in losses.figures.items()}

    def called(self, name: str) -> str:
        """What a figure of it is called in the log."""
        return f"{self.label}/{name}".lstrip("/")
