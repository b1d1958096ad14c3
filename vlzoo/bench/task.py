"""What a downstream task is: how to train it as well as how to measure it.

Legend: B batch rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vlzoo.bench.score_base import Scored
from vlzoo.data.records import Sample
from vlzoo.errors import PredictionError

if TYPE_CHECKING:
    from vlzoo.bench.engine import Engine
    from vlzoo.data.collate import Fields
    from vlzoo.text.tokenizer import Tokenizer

Row = dict[str, Any]
"""One prediction, as it is written to disk."""


@dataclass(frozen=True)
class Settings:
    """How a task is measured, beside the model and the data.

    Attributes:
        protocol: one of the task's protocols; empty for its default.
        k: candidates kept by the first stage (retrieval, VQA ranking).
        batch: rows of a forward pass.
        answers: at most this many candidate answers; None: all.
        mode: one of the task's modes: how predictions are made; empty for the first that the model can do.
        beams: beams of free decoding; 1 is greedy.
        memory: bytes that features held for speed may take.
        share: this process's number and how many share the work.
        features: a folder for features that processes share and a resumed bench finds; None: a temporary one.
        proposals: a file of boxes for each picture, for grounding by a map; None: the data's own.
    """

    protocol: str = ""
    k: int = 128
    batch: int = 64
    answers: int | None = None
    mode: str = ""
    beams: int = 1
    memory: int = 2_000_000_000
    share: tuple[int, int] = (0, 1)
    features: Path | None = None
    proposals: Path | None = None


class Task:
    """A downstream task. Sub-class it and register it as kind `task`.

    Attributes:
        name: the registered name.
        protocols: how it can be measured; the first is the default. Printed with every number.
        modes: how predictions can be made (`rank`, `generate`, `classify`); none where there is one way.
        finetuned: whether a model must be trained for it; retrieval also runs zero-shot.
    """

    name: ClassVar[str]
    protocols: ClassVar[tuple[str, ...]]
    modes: ClassVar[tuple[str, ...]] = ()
    finetuned: ClassVar[bool] = True

    def kept(self, settings: Settings) -> Mapping[str, Any]:
        """The settings that change predictions, for their key; what only changes scores is not among them."""
        return {"k": settings.k, "answers": settings.answers, "mode": settings.mode, "beams": settings.beams}

    def blank(self, sample: Sample) -> Row | None:
        """The prediction, counted as wrong, of a sample whose picture is missing; None: the task refuses those."""
        return None

    def submission(self, source: Any, rows: Mapping[str, Row]) -> list[Row]:
        """Predictions in the format of the task's server.

        Raises:
            PredictionError: the task has no server, or predictions do not fit the data.
        """
        raise PredictionError(f"{self.name} has no server format", fix="--submission is for vqa and gqa")

    def classes(self) -> tuple[str, ...]:
        """The classes of its labels, in the order of their numbers; none where it has no labels."""
        return ()

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take what must be known of the training annotations: the answer list."""

    def state(self) -> Mapping[str, Any]:
        """What `learn` found, as plain values; kept in the run folder."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """What the task adds to a training batch: labels, answers."""
        raise NotImplementedError

    def predict(self, engine: Engine, source: Any, settings: Settings, done: frozenset[str]) -> Iterator[list[Row]]:
        """Predictions as they come, a list a batch; each row names its sample under `name`.

        Args:
            engine: the model, ready.
            source: the data.
            settings: how to measure.
            done: names of samples that an interrupted run has predicted already.
        """
        raise NotImplementedError

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Figures of predictions by sample name; needs no model."""
        raise NotImplementedError


def data_name(source: Any) -> str:
    """The data as it stands beside a number: name, split, fingerprint."""
    return f"{source.name} {source.fingerprint()}"
