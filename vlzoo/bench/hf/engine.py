"""What every model of transformers has in common for the harness; each family adds what it can do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from vlzoo.bench.engine import libraries
from vlzoo.bench.task import Row, Settings
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError
from vlzoo.models.precision import autocast

logger = logging.getLogger("vlzoo.bench")


@dataclass(frozen=True)
class Foreign:
    """A model that others made, with what it reads by.

    Attributes:
        name: its class in transformers.
        model: in evaluation mode.
        tokenizer: words to ids, as its makers set it up.
        pictures: pictures to pixel values, likewise.
        weights: a hash of its files.
        precision: of the forward passes.
        device: where it runs.
    """

    name: str
    model: Any
    tokenizer: Any
    pictures: Any
    weights: str
    precision: str
    device: torch.device


class ForeignEngine:
    """Stands where a vlzoo `Engine` stands; a batch is the list of its samples.

    Args:
        foreign: the model.
    """

    recipe = None
    packs = False
    task = None

    def __init__(self, foreign: Foreign) -> None:
        self.foreign, self.model, self.name = foreign, foreign.model.to(foreign.device), foreign.name
        self.weights, self.precision, self.device = foreign.weights, foreign.precision, foreign.device
        self.say: Callable[[str], None] = logger.info

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of every forward pass."""
        return autocast(self.device, self.precision)

    def batches(
        self, source: Any, batch: int, done: frozenset[str] = frozenset()
    ) -> Iterator[tuple[list[Sample], list[Sample]]]:
        """Samples that are not done yet, twice: the processors read them as they are."""
        rows = [i for i in range(len(source)) if not done or source[i].name not in done]
        for start in range(0, len(rows), batch):
            samples = [source[row] for row in rows[start : start + batch]]
            yield samples, samples

    def described(self) -> dict[str, Any]:
        """What the predictions' key must know of the model beside its weights."""
        return {"foreign": self.name, "libraries": libraries()}

    def pixels(self, pictures: Sequence[Any]) -> dict[str, Tensor]:
        """Pixel values of pictures (`ImageRef`s), as the model's own processor makes them."""
        made = self.foreign.pictures(images=[picture.open() for picture in pictures], return_tensors="pt")
        return {name: value.to(self.device) for name, value in made.items()}

    def words(self, texts: Sequence[str], **options: Any) -> dict[str, Tensor]:
        """Ids and masks of texts, padded to the longest, cut where the model ends."""
        chosen = {"padding": True, "truncation": True, **options}
        made = self.foreign.tokenizer(list(texts), return_tensors="pt", **chosen)
        return {name: value.to(self.device) for name, value in made.items()}

    def pair_model(self) -> Any:
        """What retrieval asks of the model."""
        self.cannot("retrieval")

    def labeller(self, task: str, labels: Sequence[str]) -> Callable[[list[Sample]], Tensor]:
        """From samples to logits of classes."""
        self.cannot(task)

    def answerer(self, answers: Sequence[str], settings: Settings) -> Callable[[list[Sample]], list[Row]]:
        """From questions to answers."""
        self.cannot("vqa")

    def box_predictor(self) -> None:
        """No family of these predicts boxes."""
        return

    def grounder(self) -> Any:
        """Maps of words over pictures."""
        self.cannot("grounding")

    def cannot(self, task: str) -> NoReturn:
        """Say that the model has no part for a task.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(
            f"{self.name} can't do {task}", fix=f"it does {', '.join(self.able) or 'nothing that is measured here'}"
        )

    able: tuple[str, ...] = ()
