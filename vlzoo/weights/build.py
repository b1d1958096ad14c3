"""A converted checkpoint as a system: every weight accounted for.

Legend: N image tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vlzoo.config.check import Checked, check
from vlzoo.config.tree import Tree
from vlzoo.errors import CheckpointError
from vlzoo.models.assemble import System, build_system
from vlzoo.models.positions import resize_positions
from vlzoo.models.teacher import Teacher
from vlzoo.weights.adapter import Converted
from vlzoo.weights.report import Conversion

POSITIONS = "model.image_encoder.model.pos_embed"
"""The vision transformer's position table."""


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
    report: Conversion


def resize(converted: Converted, pixels: int) -> tuple[Converted, tuple[str, ...]]:
    """The checkpoint for pictures of another size, and what was resized.

    Raises:
        CheckpointError: the size is no multiple of the patch.
    """
    encoder = converted.recipe["model"]["image_encoder"]
    patch = encoder["arguments"]["patch_size"]
    if pixels % patch or pixels <= 0:
        raise CheckpointError(
            f"a resolution of {pixels} is not made of patches of {patch}",
            fix=f"choose a multiple of {patch}: {max(1, round(pixels / patch)) * patch}",
        )
    grid, old = (pixels // patch, pixels // patch), encoder["image_size"]
    if pixels == old:
        return converted, ()
    system, teacher, notes = dict(converted.system), dict(converted.teacher), []
    for holder, owner in ((system, "student"), (teacher, "teacher")):
        if POSITIONS in holder:
            before = holder[POSITIONS]
            holder[POSITIONS] = resize_positions(before.float(), grid)
            notes.append(f"{POSITIONS} of the {owner} {list(before.shape)} -> {list(holder[POSITIONS].shape)}")
    recipe = dict(converted.recipe)
    recipe["model"] = {**recipe["model"], "image_encoder": {**encoder, "image_size": pixels}}
    recipe["augment"] = {when: {**ref, "size": pixels} for when, ref in recipe["augment"].items()}
    return replace(converted, recipe=recipe, system=system, teacher=teacher), tuple(notes)


def complete(
    converted: Converted, special: Mapping[str, int], *, where: str, resized: tuple[str, ...] = ()
) -> Complete:
    """Fill what the file does not have with fresh weights, and say so.

    Args:
        converted: an adapter's result.
        special: ids of the special tokens.
        where: the file, for messages.
        resized: what `resize` told.

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
    report = Conversion(
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
    # What has no momentum twin (the temperature, a joint space that was not trained) starts as the student's.
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
                fix="the file is damaged, or of a model that ALBEF's code does not make",
            )
