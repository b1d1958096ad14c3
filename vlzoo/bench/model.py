"""What is measured: a model of any family, opened by its reference. What it can do, tasks ask by generic functions.

A task's folder holds a generic function (`functools.singledispatch` over the model's class) for what it asks of a
model: `pair_model` of retrieval, `labeller` of sentences, `answerer` of questions, `captioner` of captions,
`box_predictor` and `mapper` of grounding. A family registers what it has. So no task is named here, a new task may ask
for something new, and a new family answers what it can.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch

from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, UnknownName, did_you_mean
from vlzoo.models.precision import autocast

if TYPE_CHECKING:
    from vlzoo.config.schema import Recipe
    from vlzoo.task import Task

logger = logging.getLogger("vlzoo.bench")


class BenchModel:
    """A model ready to be measured. Sub-class it in a family of your own, and register what it can do:

    >>> class Mine(BenchModel):
    ...     able = ("snli-ve",)
    >>> @labeller.register
    ... def _(model: Mine, task, labels):
    ...     return lambda samples: np.zeros((len(samples), len(labels)), np.float32)
    >>> mine = Mine("mine", weights="none")
    >>> [labeller(mine, "snli-ve", ["yes", "no"])(batch).shape for _, batch in mine.batches(source, 2)]
    [(2, 2)]

    Attributes:
        name: what messages call it.
        able: what it can be measured on, for messages.
        weights: a hash of its weights, for the predictions' key.
        precision: of the forward passes: `fp32`, `bf16` or `fp16`.
        device: where it is.
        say: told what happens, line by line.
        recipe: the recipe it was trained by; None where there is none.
        task: the task it was trained for, with what it learned of the training data; None where there is none.
        note: said before it is measured: which of several checkpoints it is.
        run: the run folder it was read from; None where it is no run.
        checkpoint: the step of its checkpoint; None where there are none.
        trained_on: what is known of its training data, as `vlzoo.data.held_out.told` tells it; empty: nothing.
    """

    name: str
    note: str = ""
    run: Path | None = None
    checkpoint: int | None = None
    trained_on: Sequence[Mapping[str, Any]] = ()
    able: tuple[str, ...] = ()
    weights: str
    precision: str
    device: torch.device
    say: Callable[[str], None]
    recipe: Recipe | None
    task: Task | None

    def __init__(self, name: str, weights: str, *, precision: str = "fp32", device: torch.device | None = None) -> None:
        self.name, self.weights, self.precision = name, weights, precision
        self.device, self.say = device or torch.device("cpu"), logger.info
        self.recipe, self.task = None, None

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of every forward pass."""
        return autocast(self.device, self.precision)

    def described(self) -> dict[str, Any]:
        """What the predictions' key must know of the model beside its weights, as plain values."""
        raise NotImplementedError

    def batches(self, source: Any, batch: int, done: frozenset[str] = frozenset()) -> Iterator[tuple[list[Any], Any]]:
        """Samples that are not done yet, a batch at a time, with what the model reads of them."""
        for rows in batches_left(source, batch, done):
            samples = [source[row] for row in rows]
            yield samples, samples

    def cannot(self, what: str) -> NoReturn:
        """Say that the model has no part for something.

        Raises:
            CheckpointError: always.
        """
        fix = f"it does {', '.join(self.able) or 'nothing that is measured here'}"
        raise CheckpointError(f"{self.name} can't do {what}", fix=fix)


def batches_left(source: Any, batch: int, done: frozenset[str]) -> Iterator[list[int]]:
    """The rows of a source whose samples are not done yet, a batch at a time."""
    rows = [row for row in range(len(source)) if not done or source[row].name not in done]
    yield from (rows[start : start + batch] for start in range(0, len(rows), batch))


class ModelFamily:
    """Opens models of one kind by a reference, `NAME:PLACE`. Sub-class it and register it as kind `model_family`.

    >>> class Mine(ModelFamily):
    ...     name = "mine"
    ...     def open(self, place, task, *, precision, device):
    ...         return BenchModel(place, weights="none", precision=precision, device=device)
    >>> Mine().folder("models/one", task=None).as_posix()
    'bench-one'
    """

    name: ClassVar[str]

    def check(self, place: str, task: Task) -> None:
        """Whether there is such a model for the task; quick, before any work.

        Raises:
            CheckpointError: there is none.
        """
        raise NotImplementedError

    def open(self, place: str, task: Task, *, precision: str, device: torch.device) -> BenchModel:
        """The model, ready.

        Raises:
            CheckpointError: it can't be read.
        """
        raise NotImplementedError

    def folder(self, place: str, task: Task) -> Path:
        """Where predictions go unless the command says otherwise."""
        return Path(f"bench-{Path(place).name}")

    def run(self, place: str) -> Path | None:
        """The folder of the run that a place means; None: models of this family are no runs of vlzoo.

        Raises:
            CheckpointError: it can't be reached.
        """
        return None

    def choose(self, checkpoint: str) -> None:
        """Open this checkpoint of a model from now on: `last`, `best` or a step.

        Raises:
            CheckpointError: models of this family have but one.
        """
        raise CheckpointError(f"models of the family {self.name!r} have one checkpoint", fix="leave --checkpoint out")

    def learned(self, place: str, task: Task) -> Mapping[str, Any] | None:
        """What a model's own task learned of its training data, for `Task.restore`; None where nothing was kept."""
        return None

    def bench(self, place: str, task: Task) -> Any:
        """The recipe's section `bench` that holds for the model; None where there is no recipe."""
        return None


def reference_of(model: str | os.PathLike[str]) -> str:
    """A model as `NAME:PLACE`: what names no family is a run's folder, and so is a folder whose name holds a colon."""
    text = os.fspath(model)
    return text if ":" in text and not Path(text).exists() else f"run:{text}"


def family_of(reference: str) -> tuple[ModelFamily, str]:
    """The family that a reference `NAME:PLACE` names, and the place.

    Raises:
        CheckpointError: it is of another form.
        UnknownName: there is no such family.
    """
    name, colon, place = reference.partition(":")
    if not colon or not place:
        raise CheckpointError(f"{reference!r} names no model", fix="write hf:FOLDER, or --run RUN for a run of vlzoo")
    known = [part.name for part in registry().of("model_family")]
    if name.rpartition(":")[2] not in known:
        raise UnknownName(f"no model family called {name!r}", fix=did_you_mean(name, known, what="known families"))
    family: ModelFamily = registry().build("model_family", name)
    return family, place
