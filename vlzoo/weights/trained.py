"""A trained run's model in memory, as it is measured, exported and explained; and what of it training alone reads."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from torch import nn

from vlzoo.config.schema import Recipe
from vlzoo.door.plugins import registry
from vlzoo.models.assemble import System, build_system
from vlzoo.runs.checkpoint import Checkpoint, load_into
from vlzoo.runs.run import Run
from vlzoo.task import Task
from vlzoo.text.tokenizer import Tokenizer

logger = logging.getLogger("vlzoo.bench")


@dataclass(frozen=True)
class Trained:
    """What a checkpoint of a run was made into.

    Attributes:
        recipe: the run's.
        system: model and objectives, filled.
        tokenizer: words to ids.
        task: the run's, with what it learned of the training data; None for a pre-trained run.
    """

    recipe: Recipe
    system: System
    tokenizer: Tokenizer
    task: Task | None


def trained(run: Run, kept: Checkpoint) -> Trained:
    """Build a run's model and fill it from a checkpoint.

    Raises:
        CheckpointError: the checkpoint is damaged, or made for another recipe.
        RecipeError: a plugin that it was trained with is missing.
    """
    recipe = run.recipe()
    tokenizer = run.tokenizer(recipe)
    task: Task | None = None
    if recipe.task is not None:
        task = registry().build("task", recipe.task)
        task.restore(run.task_state() or {})
    classes = len(task.classes()) if task else 0
    system = build_system(
        recipe, vocab=tokenizer.vocab, special=tokenizer.special, classes=classes, words=tokenizer.words
    )
    known = str(run.noted().get("nonfinite") or "")  # which `weights convert` was asked to allow
    fresh = system.state_dict()
    tensors = {name: fresh[name] for name in training_alone(system)} | kept.tensors("system")
    load_into(system, tensors, where=str(kept.folder), allow_nonfinite=bool(known))
    if known:
        logger.warning("WARNING: %s: %s", run.folder, known)
    return Trained(recipe, system, tokenizer, task)


def training_alone(module: nn.Module) -> frozenset[str]:
    """The names of a module's state that only training reads, of modules that say `trains_only = True`: queues.

    >>> from vlzoo.objectives.queue import FeatureQueue
    >>> sorted(training_alone(nn.ModuleDict({"queue": FeatureQueue(4, 2), "head": nn.Linear(2, 2)})))
    ['queue.ids', 'queue.image', 'queue.place', 'queue.text']
    """
    parts = [name for name, part in module.named_modules() if getattr(part, "trains_only", False)]
    return frozenset(n for n in module.state_dict() if any(n.startswith(f"{part}.") for part in parts))
