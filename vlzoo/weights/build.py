"""A converted checkpoint as a system: every weight accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vlzoo.config.check import Checked, check
from vlzoo.config.schema import PartRef
from vlzoo.config.tree import Tree
from vlzoo.errors import CheckpointError
from vlzoo.interfaces import ImageEncoder, TextEncoder
from vlzoo.models.assemble import System, build_system
from vlzoo.models.parts import build_part
from vlzoo.models.teacher import Teacher
from vlzoo.weights.adapter import Converted
from vlzoo.weights.report import Report

ENCODER = "model.image_encoder"
"""The image encoder's place among a system's names."""


@dataclass(frozen=True)
class Complete:
    """Weights for every name of a system, and of its teacher where the file has one.

    Attributes:
        checked: the recipe.
        system: by name, tied tensors once.
        teacher: likewise; empty where there is none.
        report: what became of the file's names.
    """

    checked: Checked
    system: Mapping[str, Tensor]
    teacher: Mapping[str, Tensor]
    report: Report


def resize(converted: Converted, pixels: int) -> tuple[Converted, tuple[str, ...]]:
    """The checkpoint for pictures of another size, and what was resized.

    Raises:
        CheckpointError: the size is no multiple of the patch.
    """
    patch = _image_encoder(converted.recipe).patch
    if pixels % patch or pixels <= 0:
        raise CheckpointError(
            f"a resolution of {pixels} is not made of patches of {patch}",
            fix=f"choose a multiple of {patch}: {max(1, round(pixels / patch)) * patch}",
        )
    if pixels == resolution_of(converted):
        return converted, ()
    recipe = _at_resolution(converted.recipe, pixels)
    encoder, notes = _image_encoder(recipe), []
    system, teacher = dict(converted.system), dict(converted.teacher)
    for holder, owner in ((system, "student"), (teacher, "teacher")):
        # Which tables depend on the size of pictures, and how, the encoder knows.
        given = {name: tensor.float() for name, tensor in holder.items() if name.startswith(f"{ENCODER}.")}
        for own, tensor in encoder.start_from(ENCODER, given).items():
            name, before = f"{ENCODER}.{own}", holder[f"{ENCODER}.{own}"]
            if before.shape != tensor.shape:
                holder[name] = tensor
                notes.append(f"{name} of the {owner} {list(before.shape)} -> {list(tensor.shape)}")
    return replace(converted, recipe=recipe, system=system, teacher=teacher), tuple(notes)


def widen(converted: Converted, words: int) -> tuple[Converted, tuple[str, ...]]:
    """The checkpoint with a word table of `words` rows, the new ones zero, and what was changed."""
    model = {**converted.recipe["model"]}
    ref = PartRef.model_validate(model["text_encoder"])
    with torch.device("meta"):
        encoder: TextEncoder = build_part("text_encoder", ref, {})
    table = encoder.word_embedding()
    name = next(f"model.text_encoder.{name}" for name, each in encoder.named_parameters() if each is table)
    held = converted.system[name]
    wider = torch.cat([held, held.new_zeros(words - len(held), held.shape[1])])
    model["text_encoder"] = {**model["text_encoder"], "vocab": words}
    note = f"{name} of the student {list(held.shape)} -> {list(wider.shape)}: rows of special tokens, zero"
    recipe = {**converted.recipe, "model": model}
    return replace(converted, recipe=recipe, vocab=words, system={**converted.system, name: wider}), (note,)


def resolution_of(converted: Converted) -> int:
    """Side of the pictures that a checkpoint was made for, in pixels."""
    return int(converted.recipe["augment"]["eval"]["size"])


def _at_resolution(recipe: Mapping[str, Any], pixels: int) -> dict[str, Any]:
    """The recipe for pictures of another size."""
    encoder = {**recipe["model"]["image_encoder"], "image_size": pixels}
    augment = {when: {**ref, "size": pixels} for when, ref in recipe["augment"].items()}
    return {**recipe, "model": {**recipe["model"], "image_encoder": encoder}, "augment": augment}


def _image_encoder(recipe: Mapping[str, Any]) -> ImageEncoder:
    """The image encoder of a recipe, with shapes and no numbers."""
    with torch.device("meta"):
        encoder: ImageEncoder = build_part(
            "image_encoder", PartRef.model_validate(recipe["model"]["image_encoder"]), {}
        )
    return encoder


def complete(
    converted: Converted, special: Mapping[str, int], *, where: str, resized: tuple[str, ...] = ()
) -> Complete:
    """Fill what the file does not have with fresh weights, and say so.

    Args:
        converted: an adapter's result.
        special: ids of the special tokens.
        where: the file, for messages.
        resized: what `resize` changed.

    Raises:
        CheckpointError: a weight's shape is not the one its model has.
    """
    checked = check(Tree(converted.recipe, {(): where}), where)
    wanted = _shapes(_system(checked, converted, special, "meta"))
    _check_shapes(converted.system, wanted, where)
    missing = [name for name in wanted if name not in converted.system]
    system = {name: converted.system[name] for name in wanted if name in converted.system}
    if missing:
        # Rarely: a task's checkpoint lacks the joint space; its values come from the model's own initialisation.
        with torch.random.fork_rng():
            torch.manual_seed(0)
            fresh = _system(checked, converted, special, "cpu").state_dict()
        system |= {name: fresh[name] for name in missing}
    teacher = _teacher(checked, converted, special, system, where) if converted.teacher else {}
    left = [n for n in converted.system if n not in wanted]
    report = Report(
        loaded=tuple(n for n in wanted if n in converted.system) + tuple(f"teacher.{n}" for n in converted.teacher),
        missing=tuple(missing),
        unexpected=(*converted.unexpected, *left),
        repeated=converted.repeated,
        resized=resized,
    )
    return Complete(checked, system, teacher, report)


def _teacher(
    checked: Checked, converted: Converted, special: Mapping[str, int], system: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    wanted = _shapes(Teacher(_system(checked, converted, special, "meta")))
    _check_shapes(converted.teacher, wanted, where)
    # What has no momentum twin (a joint space that was not trained) starts as the student's.
    student = {name.replace("objectives.", "heads.", 1): tensor for name, tensor in system.items()}
    given = converted.teacher
    return {name: given[name] if name in given else student[name] for name in wanted}


def _system(checked: Checked, converted: Converted, special: Mapping[str, int], device: str) -> System:
    with torch.device(device):
        return build_system(checked.recipe, vocab=converted.vocab, special=special, classes=converted.classes)


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    """Names and shapes of a state, tied parameters under their first name alone, as checkpoints store them."""
    seen: set[int] = set()
    tied = set()
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            tied.add(name)
        seen.add(id(parameter))
    return {name: value.shape for name, value in module.state_dict().items() if name not in tied}


def _check_shapes(given: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], where: str) -> None:
    for name, tensor in given.items():
        if name in wanted and tensor.shape != wanted[name]:
            raise CheckpointError(
                f"{name} has the shape {list(tensor.shape)}, and a model of these sizes has {list(wanted[name])}",
                where=where,
                fix="the file is damaged, or of a model that the adapter does not know",
            )
