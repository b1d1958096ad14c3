"""What a downstream task is: how to train it as well as how to measure it.

Legend: B batch rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vlzoo.bench.score_base import Scored
from vlzoo.data.records import Sample

if TYPE_CHECKING:
    from vlzoo.bench.engine import Engine
    from vlzoo.data.collate import Fields
    from vlzoo.models.tokenizer import Tokenizer

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
    """

    protocol: str = ""
    k: int = 128
    batch: int = 64
    answers: int | None = None


class Task:
    """A downstream task. Sub-class it and register it as kind `task`.

    Attributes:
        name: the registered name.
        protocols: how it can be measured; the first is the default. Printed with every number.
        finetuned: whether a model must be trained for it; retrieval also runs zero-shot.
    """

    name: ClassVar[str]
    protocols: ClassVar[tuple[str, ...]]
    finetuned: ClassVar[bool] = True

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
