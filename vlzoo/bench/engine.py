"""A trained model made ready to measure: weights, tokenizer, transforms, device.

Legend: B batch rows, N image tokens, L text tokens.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from vlzoo.augment.view import make_view
from vlzoo.bench.pairs import NativePairs, PairModel
from vlzoo.bench.task import Row, Settings, Task
from vlzoo.config.schema import Recipe
from vlzoo.data.collate import Collator, Reader
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.interfaces import Augmentation, Objective
from vlzoo.models.assemble import System, build_system
from vlzoo.models.precision import autocast, default_device
from vlzoo.objectives.classify import Classify
from vlzoo.offers import Offers
from vlzoo.runs.checkpoint import Checkpoint, latest, load_into
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.types import Batch, Text

logger = logging.getLogger("vlzoo.bench")
T = TypeVar("T", bound=Objective)
KNOWN_CODE = ("vlzoo", "torch", "timm", "transformers")
"""Packages that the key knows by other means: vlzoo by a hash of its code, the others by their versions."""


@dataclass
class Engine:
    """A system in evaluation mode with what it needs to read samples.

    Attributes:
        recipe: the run's recipe.
        system: model and objectives.
        tokenizer: words to ids.
        task: the run's task, with what it learned of the training data; None for a pre-trained run.
        weights: a hash of the weights, for the predictions' key.
        precision: a key of `vlzoo.models.precision.PRECISIONS`.
        device: where the model is.
        say: told what happens, line by line.
    """

    recipe: Recipe
    system: System
    tokenizer: Tokenizer
    task: Task | None
    weights: str
    precision: str = "fp32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    say: Callable[[str], None] = logger.info

    def __post_init__(self) -> None:
        ref = self.recipe.augment.eval
        self.augmentation: Augmentation = registry().build("augmentation", ref.part, **ref.options)
        self.size = int(getattr(self.augmentation, "size", 256))
        self.collator = Collator(self.tokenizer, max_words=self.recipe.tokenizer.max_words)
        self.system.eval().to(self.device)
        self.system.model.clamp_temperature()  # the last update may have left the bounds
        self.plan = Plan(offers=Offers(self.system.named_objectives()))
        for objective in self.system.named_objectives().values():
            objective.plan(self.plan)
        self.plan.mask_nothing()

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of every forward pass."""
        return autocast(self.device, self.precision)

    def batches(self, source: Any, batch: int, done: frozenset[str] = frozenset()) -> Iterator[tuple[list[Any], Batch]]:
        """Samples that are not done yet, with their batch: plain pictures, every text as it is."""
        reader = Reader(source, self.augmentation, self.size)
        rows = [i for i in range(len(source)) if not done or source[i].name not in done]
        for start in range(0, len(rows), batch):
            items = [reader[(0, row)] for row in rows[start : start + batch]]
            yield [item.sample for item in items], self.collator(items).to(self.device)

    def step(self, batch: Batch) -> Step:
        """A step that only reads: no teacher, no masks."""
        return Step(batch, self.system.model, plan=self.plan)

    def pixels(self, images: Sequence[Any]) -> Tensor:
        """Pixel values of pictures, [n, 3, size, size]."""
        rng = np.random.default_rng(0)
        views = [make_view(image.open(), self.augmentation, self.size, rng) for image in images]
        return self.collator.normalise(np.stack(views)).to(self.device)

    def tokenise(self, texts: Sequence[str]) -> Text:
        """Cleaned texts as ids."""
        text = self.tokenizer([self.collator.clean(each) for each in texts])
        return Text(text.ids.to(self.device), text.mask.to(self.device), text.special.to(self.device))

    def objective(self, kind: type[T]) -> T | None:
        """The run's first objective of a class, a plugin's sub-class included; None where it has none."""
        found = self.system.named_objectives().values()
        return next((objective for objective in found if isinstance(objective, kind)), None)

    def pair_model(self) -> PairModel:
        """What retrieval asks of the model."""
        return NativePairs(self)

    def labeller(self, task: str, labels: Sequence[str]) -> Callable[[Batch], Tensor]:
        """From a batch to logits [B, classes] in the order of `labels`.

        Raises:
            CheckpointError: nothing was trained for the task.
        """
        head = self.objective(Classify)
        if head is None:
            fix = f"`vlzoo finetune {task} --from RUN` makes one that has"
            raise CheckpointError(f"this run has no head for {task}", fix=fix)
        return lambda batch: head.logits(self.step(batch)).float()

    def answerer(self, answers: Sequence[str], settings: Settings) -> Callable[[Batch], list[Row]]:
        """From a batch of questions to a row each: `answer` and `score`.

        Raises:
            CheckpointError: the model can't answer in the mode asked for.
        """
        from vlzoo.bench.tasks.vqa_modes import answerer

        return answerer(self, answers, settings)

    def box_predictor(self) -> Callable[[Batch, Sequence[Any]], list[list[float]]] | None:
        """From a batch and its samples to boxes in pixels; None where no objective predicts boxes."""
        for objective in self.system.named_objectives().values():
            predict = getattr(objective, "predict_boxes", None)
            if predict is not None:
                return lambda batch, samples: in_pixels(predict(self.step(batch)), samples)
        return None

    def grounder(self) -> Callable[[Batch, Sequence[tuple[int, int]]], list[Any]]:
        """From a batch and its pictures' sizes to maps of the expressions over them.

        Raises:
            VlzooError: the model gives no maps.
        """
        from vlzoo.bench.tasks.grounding_maps import Grounder

        return Grounder(self)

    def described(self) -> dict[str, Any]:
        """What the predictions' key must know of the model beside its weights."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "code": foreign_code(self.system),
            "libraries": libraries(),
        }


def libraries() -> dict[str, str]:
    """Versions of the libraries that models are made of."""
    return {name: version(name) for name in KNOWN_CODE[1:]}


def foreign_code(system: System) -> dict[str, str]:
    """Hashes of the files that a system's own modules are written in, where they are neither vlzoo's nor torch's.

    A plugin's fusion that was edited gives other predictions under the same weights.
    """
    found = {}
    for name in sorted({type(module).__module__ for module in system.modules()}):
        file = getattr(sys.modules.get(name), "__file__", None)
        if name.partition(".")[0] not in KNOWN_CODE and file:
            found[name] = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
    return found


def in_pixels(box_B4: Tensor, samples: Sequence[Any]) -> list[list[float]]:
    """Boxes x, y, width, height in pixels, from centres, widths and heights in shares of the picture [B, 4]."""
    made = []
    for (x, y, w, h), sample in zip(box_B4.float().tolist(), samples, strict=True):
        width, height = sample.images[0].open().size
        made.append([(x - w / 2) * width, (y - h / 2) * height, w * width, h * height])
    return made


def load_run(folder: Path, *, precision: str = "fp32", device: torch.device | None = None) -> Engine:
    """A run's newest checkpoint, ready to measure.

    Raises:
        CheckpointError: the folder is no run, or holds no checkpoint.
    """
    checkpoint, recipe = latest(folder), Run(folder).recipe()
    tokenizer = read_tokenizer(folder, recipe)
    task = read_task(folder, recipe)
    classes = len(task.classes()) if task else 0
    system = build_system(
        recipe, vocab=tokenizer.vocab, special=tokenizer.special, classes=classes, words=tokenizer.words
    )
    load_into(system, checkpoint.tensors("system"), where=str(checkpoint.folder))
    return Engine(recipe, system, tokenizer, task, weights_hash(checkpoint), precision, device or default_device())


def read_tokenizer(folder: Path, recipe: Recipe) -> Tokenizer:
    """The tokenizer kept in a run folder."""
    wanted = recipe.tokenizer
    return Tokenizer.from_file(folder / "tokenizer" / "vocab.txt", sep=wanted.sep, max_length=wanted.max_length)


def read_task(folder: Path, recipe: Recipe) -> Task | None:
    """The task of a fine-tuned run with what it learned; None for a pre-trained run."""
    if recipe.task is None:
        return None
    task: Task = registry().build("task", recipe.task)
    file = folder / "task.json"
    task.restore(json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {})
    return task


def weights_hash(checkpoint: Checkpoint) -> str:
    """A hash of the weights a checkpoint holds, 16 hex digits."""
    with (checkpoint.folder / "system.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
