"""All parts of a recipe built as a run would build them, and what can't be, with the place in the recipe."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image

from vlzoo.augment.tensor import Normalise
from vlzoo.augment.view import make_view
from vlzoo.config.check import Checked
from vlzoo.config.references import Reference, references
from vlzoo.config.schema import Recipe
from vlzoo.config.tree import dotted
from vlzoo.door.blame import blamed
from vlzoo.door.plugins import registry
from vlzoo.errors import Problem, VlzooError
from vlzoo.models.assemble import build_system
from vlzoo.models.checkpointing import spare_memory
from vlzoo.models.compiling import backend_of
from vlzoo.models.given import check_pictures, checked_tokens
from vlzoo.step.cost import WORDS
from vlzoo.train.memory import no_memory, out_of_memory

ALONE = ("augmentation", "rows", "task")
"""Kinds that need nothing but their options to be built. The files of data and tokenizers are asked for elsewhere."""


def build_problems(checked: Checked) -> Iterator[Problem]:
    """Parts that can't be imported or built; an augmentation or an image encoder that fails on a picture.

    Every part that a recipe names is imported; augmentations, rows and tasks are built, then the model with its
    objectives, at its real size and with fresh weights or those of the files that its parts name.
    """
    found = list(_each(checked))
    yield from found
    if found or checked.recipe.model.image_encoder is None or not checked.recipe.model.image_encoder.part:
        return  # a task's recipe has the model of the run it starts from
    try:
        _build_model(checked.recipe)
    except VlzooError as error:
        yield _problem(checked, error, ("model",))
    except (MemoryError, RuntimeError) as error:
        if not no_memory(error):
            raise
        yield _problem(checked, out_of_memory(error), ("model",))


def _each(checked: Checked) -> Iterator[Problem]:
    for reference in references(checked.tree.data):
        try:
            _build(reference)
        except VlzooError as error:
            yield _problem(checked, error, reference[1])


def _build(reference: Reference) -> None:
    kind, _, name, options = reference
    part = registry().find(kind, name)
    part.load()
    if kind not in ALONE:
        return
    made = registry().build(kind, name, **options)
    if kind == "augmentation":
        with blamed(part, "fails on a picture"):
            make_view(Image.fromarray(np.zeros((60, 80, 3), np.uint8)), made, np.random.default_rng(0))


def _build_model(recipe: Recipe) -> None:
    """The model with all objectives, and one look of its encoder at a picture as evaluation makes them."""
    task = registry().build("task", recipe.task) if recipe.task else None
    classes = len(task.classes()) if task else 0
    system = build_system(recipe, vocab=recipe.tokenizer.size, classes=classes, words=WORDS)
    spare_memory(system, recipe.train)
    backend_of(recipe.train.compile)
    encoder, ref = system.model.image_encoder, recipe.model.image_encoder
    if encoder.input != "image" or ref is None:
        return
    for each in (recipe.augment.train, recipe.augment.eval):
        if not each.part:
            continue
        made = registry().build("augmentation", each.part, **each.options)
        check_pictures(made, encoder)
        seen = make_view(Image.fromarray(np.zeros((60, 80, 3), np.uint8)), made, np.random.default_rng(0))
        with blamed(registry().find("image_encoder", ref.part), "fails on a picture"), torch.no_grad():
            checked_tokens(encoder.eval(), encoder(Normalise()(seen)[None]), 1)


def _problem(checked: Checked, error: VlzooError, path: tuple[str | int, ...]) -> Problem:
    what = f"{error.what} ({error.where})" if error.where else error.what
    return Problem(checked.tree.origin(path), dotted(path), what, error.fix)
