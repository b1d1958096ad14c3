"""A run of vlzoo made ready to measure: weights, tokenizer, transforms, device. The model family `run`.

Legend: B batch rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vlzoo.batch import Batch, Text
from vlzoo.bench.code import code_hash
from vlzoo.bench.model import BenchModel, ModelFamily, batches_left, logger
from vlzoo.config.schema import Bench, Recipe
from vlzoo.data.collate import Collator
from vlzoo.data.held_out import trained_on
from vlzoo.data.records import Sample
from vlzoo.data.visit import Visit
from vlzoo.data_parts import Augmentation, Rows
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.models.assemble import System
from vlzoo.models.given import check_pictures, check_reach
from vlzoo.models.precision import default_device
from vlzoo.offers import Offers
from vlzoo.runs.packaged import PREFIX, run_folder
from vlzoo.runs.run import Run
from vlzoo.runs.selection import chosen
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.weights.trained import trained

if TYPE_CHECKING:
    from vlzoo.task import Task


@dataclass
class Engine(BenchModel):
    """A system in evaluation mode with what it needs to read samples.

    >>> engine = Engine(recipe, system, tokenizer, task=None, weights="none")
    >>> engine.step(batch).fused(reads="cls").cls.shape, engine.offered("boxes")
    (torch.Size([4, 96]), None)

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
    name = "this run"

    def __post_init__(self) -> None:
        ref = self.recipe.augment.eval
        self.augmentation: Augmentation = registry().build("augmentation", ref.part, **ref.options)
        check_pictures(self.augmentation, self.system.model.image_encoder)
        ref = self.recipe.rows
        rows: Rows = registry().build("rows", ref.part, **ref.options)
        self.rows, self.input = rows.whole(), self.system.model.image_encoder.input
        check_reach(self.rows, self.tokenizer.max_length, self.system.model)
        words = self.recipe.tokenizer
        self.collator = Collator(self.tokenizer, self.rows, max_words=words.max_words, cleans=words.clean)
        self.system.eval().to(self.device)
        self.system.before_step()  # the last update may have left the bounds
        # Nothing is planned but the main views: a task says itself what it reads, and reads whole sentences.
        self.plan = Plan(offers=Offers(self.system.named_objectives()))
        self.rows.plan(self.plan, "pair")

    def batches(self, source: Any, batch: int, done: frozenset[str] = frozenset()) -> Iterator[tuple[list[Any], Batch]]:
        """Samples that are not done yet, with their batch: plain pictures, every text as it is."""
        for rows in batches_left(source, batch, done):
            samples = [source[row] for row in rows]
            items = [self._item(sample, row) for sample, row in zip(samples, rows, strict=True)]
            yield samples, self.collator(items).to(self.device)

    def step(self, batch: Batch) -> Step:
        """A step that only reads: no teacher, no masks."""
        return Step(batch, self.system.model, plan=self.plan)

    def pixels(self, images: Sequence[Any]) -> Any:
        """What the image encoder takes of pictures alone: pixel values [n, 3, size, size], or region features."""
        made = self.alone(images)
        return made.images[next(view for view in self.plan.main_image if view in made.images)]

    def alone(self, images: Sequence[Any]) -> Batch:
        """Pictures alone, with what the rows put beside them."""
        rng = np.random.default_rng(0)
        samples = [Sample(image.name, (image,)) for image in images]
        return self.collator([self._item(sample, row, rng) for row, sample in enumerate(samples)]).to(self.device)

    def tokenise(self, texts: Sequence[str]) -> Text:
        """Texts alone, as the rows give them: cleaned, as ids."""
        items = [self._item(Sample(str(row), texts=(text,)), row) for row, text in enumerate(texts)]
        return self.collator(items).to(self.device).texts[self.plan.main_text or "text"]

    def _item(self, sample: Sample, row: int, rng: np.random.Generator | None = None) -> Any:
        visit = Visit(row, augmentation=self.augmentation, input=self.input, generator=rng)
        return self.rows.make(sample, visit)

    def offered(self, name: str) -> Any:
        """What the run's objectives offer under a name: `match`, `classes`; None where none of them does."""
        return self.system.offered(name, None)

    def described(self) -> dict[str, Any]:
        """The recipe, the versions of libraries, and a hash of the code that the model is made of."""
        makers = (self, self.augmentation, self.rows, self.collator, self.tokenizer, *self.system.modules())
        recipe = self.recipe.model_dump(mode="json", exclude={"bench", "validation"})
        return {"recipe": recipe, "model code": code_hash(makers), "libraries": libraries()}


def libraries() -> dict[str, str]:
    """Versions of the libraries that models are made of."""
    return {name: version(name) for name in ("torch", "timm", "transformers")}


def load_run(
    folder: Path, *, checkpoint: str = "", precision: str = "fp32", device: torch.device | None = None
) -> Engine:
    """A run's checkpoint, ready to measure.

    Args:
        folder: the run's.
        checkpoint: `last`, `best` or a step; empty: the best where validation found one, else the last.
        precision: of the forward passes.
        device: where; None: a GPU where there is one.

    Raises:
        CheckpointError: the folder is no run, or does not hold the checkpoint.
    """
    run = Run(folder)
    kept, note = chosen(run, checkpoint)
    made = trained(run, kept)
    parts = (made.recipe, made.system, made.tokenizer, made.task)
    engine = Engine(*parts, kept.weights_hash(), precision, device or default_device())
    engine.run, engine.checkpoint, engine.note = folder, kept.step, note
    engine.trained_on = trained_on(run.noted())
    return engine


class Runs(ModelFamily):
    """Runs of vlzoo: `run:FOLDER`, which is what `--run FOLDER` means."""

    name = "run"
    checkpoint = ""

    def choose(self, checkpoint: str) -> None:
        """Open this checkpoint of a run: `last`, `best` or a step; until then the best, or the last where none is."""
        self.checkpoint = checkpoint

    def run(self, place: str) -> Path:
        """The run's folder."""
        return Path(place)

    def check(self, place: str, task: Task) -> None:
        """Whether something in the folder was trained for the task, and has the checkpoint."""
        chosen(Run(self.folder(place, task)), self.checkpoint)

    def open(self, place: str, task: Task, *, precision: str, device: torch.device) -> Engine:
        """The run, or what was fine-tuned for the task inside it."""
        return load_run(self.folder(place, task), checkpoint=self.checkpoint, precision=precision, device=device)

    def folder(self, place: str, task: Task) -> Path:
        """The folder of the run, or of what was fine-tuned for the task inside it."""
        return find_run(self.run(place), task)

    def learned(self, place: str, task: Task) -> Mapping[str, Any] | None:
        """What the run's task learned; None for one that was trained for another task."""
        run = Run(self.folder(place, task))
        return (run.task_state() or {}) if run.recipe().task == task.name else None

    def bench(self, place: str, task: Task) -> Bench:
        """What the run's recipe says of measuring."""
        return Run(self.folder(place, task)).recipe().bench


class PackagedRuns(Runs):
    """Runs that pip packages carry: `package:PACKAGE/RUN`. Predictions go into the run's copy in the cache."""

    name = "package"

    def run(self, place: str) -> Path:
        """The run's copy in the cache."""
        return run_folder(f"{PREFIX}{place}")


def find_run(run: Path, task: Task) -> Path:
    """The run that a task is measured on: `run` itself, or what was fine-tuned for the task inside it.

    Raises:
        CheckpointError: nothing was trained for the task.
    """
    recipe = Run(run).recipe()
    inside = Run(run).finetuned(task.name)
    if recipe.task == task.name:
        return run
    if inside.folder.is_dir():
        return inside.folder
    if not task.finetuned and (recipe.task is None or not registry().build("task", recipe.task).finetuned):
        return run
    trained = f"was fine-tuned for {recipe.task}" if recipe.task else "is a pre-trained run"
    raise CheckpointError(
        f"{str(run)!r} {trained}; nothing in it was trained for {task.name}",
        fix=f"vlzoo finetune {task.name} --from {run}",
    )
