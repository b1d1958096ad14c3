"""Checkpoints: safetensors and JSON in a folder that is whole or not there."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from safetensors.torch import save as safetensors_of
from torch import Tensor, nn

from vlzoo.errors import CheckpointError, TrainingError
from vlzoo.files import is_full, new_folder, sha256_of
from vlzoo.models.local_weights import read_shapes, refuse_nonfinite
from vlzoo.models.safe_torch import unreadable
from vlzoo.runs.complete import complete
from vlzoo.runs.seal import DAMAGED, FIX, check_file, check_files, seal, state_of, sums_of
from vlzoo.runs.shards import Like, is_shard, own, part_here, read_shards, shapes_of, sharded_as

SHARDS = "shards"
"""Under this name state.json says of shards which parts they have, and which torch wrote them."""


STEP = "step"
"""What AdamW calls its number of updates."""


class NoRoom(TrainingError):
    """The disk is full."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk: plain files of one process, or shards of several.

    Attributes:
        folder: `RUN/checkpoints/step-000001000`.
        step: updates made so far.
        checked: whether every byte of it was looked at just now, so that no reader need do so again.
    """

    folder: Path
    step: int
    checked: bool = False

    def tensors(self, name: str, like: Like = lambda _: None) -> dict[str, Tensor]:
        """The tensors of a part, whole.

        Args:
            name: `system`, `teacher` or `optimizer`.
            like: a tensor's name to one that is cut as it is to be; of shards no more than that part is read then.

        Raises:
            CheckpointError: missing or damaged, or shards that another version of torch wrote.
        """
        if self.in_shards:
            if not self.checked:
                self._is_checked  # noqa: B018  (once, not for each part)
            return read_shards(self.folder, name, str(self.state()[SHARDS]["torch"]), like)
        file = self.folder / f"{name}.safetensors"
        try:
            noted = None if self.checked else sums_of(self.folder).get(file.name)
            if noted is not None:
                check_file(file, noted)
            return load_file(file)
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(unreadable(file, error).what, where=str(file), fix=FIX) from error

    @cached_property
    def _is_checked(self) -> bool:
        self.check()
        return True

    @property
    def in_shards(self) -> bool:
        """Whether several processes have written it."""
        return SHARDS in self.state()

    def parts(self) -> list[str]:
        """The parts that it has, by name."""
        return sorted(self.state()[SHARDS]["parts"]) if self.in_shards else [file.stem for file in self.files()]

    def state(self) -> dict[str, Any]:
        """What is kept beside the tensors.

        Raises:
            CheckpointError: missing or damaged.
        """
        return state_of(self.folder)

    def shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        """Names and shapes of a part's tensors, of which no number is read.

        Raises:
            CheckpointError: as `tensors`.
        """
        if self.in_shards:
            return shapes_of(self.folder, name)
        return dict(read_shapes(self.folder / f"{name}.safetensors"))

    def files(self) -> list[Path]:
        """Its files of tensors."""
        return sorted(self.folder.glob("*.safetensors"))

    def check(self) -> None:
        """Read every file, and refuse what is not as it was written.

        Raises:
            CheckpointError: names the file.
        """
        check_files(self.folder)

    def weights_hash(self) -> str:
        """A hash of the weights of model and objectives, 16 hex digits; of shards that of the file they make.

        Raises:
            CheckpointError: they are missing.
        """
        if self.in_shards:
            return hashlib.sha256(safetensors_of(self.tensors("system"))).hexdigest()[:16]
        return sha256_of(self.folder / "system.safetensors")[:16]


def checkpoints(folder: Path) -> list[Checkpoint]:
    """The complete checkpoints in a folder of them, oldest first."""
    return [Checkpoint(each, step) for step, each in complete(folder).items()]


def save(
    folder: Path,
    step: int,
    files: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    keep: int,
    spare: int | None = None,
) -> Checkpoint:
    """Write a checkpoint into a folder of them, all of it or nothing.

    The newest `keep` stay, and that of step `spare`; others are removed.

    Raises:
        TrainingError: the disk is full (`NoRoom`) or can't be written; the checkpoints before are untouched.
    """
    target = folder_of(folder, step)
    clear_left(folder)
    try:
        write(target, files, state)
    except (OSError, SafetensorError) as error:
        raise unwritable(error, target) from error
    remove_older(checkpoints(folder), keep, spare)
    return Checkpoint(target, step)


def write(target: Path, files: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write the plain files of a checkpoint in the place of what is there.

    Raises:
        OSError: the system refused.
        safetensors.SafetensorError: likewise, within that library.
    """
    with new_folder(target, replace=True, flush=True) as fresh:
        for name, tensors in files.items():
            save_file({k: v.contiguous() for k, v in tensors.items()}, fresh / f"{name}.safetensors")
        seal(fresh, state)


def folder_of(folder: Path, step: int) -> Path:
    """Where in a folder of checkpoints that of a step lies."""
    return folder / f"step-{step:09d}"


def clear_left(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote, and what was put aside as damaged."""
    for left in (*folder.glob(".step-*.tmp"), *folder.glob(f"step-*{DAMAGED}")):
        shutil.rmtree(left, ignore_errors=True)


def remove_older(found: Sequence[Checkpoint], keep: int, spare: int | None = None) -> None:
    """Remove all checkpoints but the `keep` newest and that of step `spare`."""
    for old in found[:-keep]:
        if old.step != spare:
            shutil.rmtree(old.folder, ignore_errors=True)


def unwritable(error: BaseException, target: Path) -> TrainingError:
    """What is told of a checkpoint that can't be written; `NoRoom` where the disk is full."""
    full = (isinstance(error, OSError) and is_full(error)) or "No space left" in str(error)
    what = "no room on the disk for a checkpoint" if full else f"a checkpoint can't be written: {error}"
    fix = "make room, then go on with --resume; what was saved before is whole"
    return (NoRoom if full else TrainingError)(what, where=str(target), fix=fix)


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """A module's state, tied tensors once: safetensors refuses two names for one memory. Of shards, the shards."""
    seen: set[tuple[int, int]] = set()
    kept = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        place = (_memory(tensor), tensor.numel())
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        kept[name] = tensor.detach().clone().contiguous()
    return kept


def _memory(tensor: Tensor) -> int:
    """What two names for one tensor have in common; of a shard it is the tensor: its memory may be none at all."""
    return id(tensor) if is_shard(tensor) else tensor.data_ptr()


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], *, where: str, allow_nonfinite: bool = False) -> None:
    """Load a state written by `tensors_of`; names that are tied to a loaded one may be absent.

    A checkpoint of the time when the temperature was the model's fills the contrast's.

    Args:
        module: filled in place.
        tensors: by the module's names.
        where: where they lie, for messages.
        allow_nonfinite: take weights that hold NaN or infinite numbers.

    Raises:
        CheckpointError: names or shapes differ, or numbers are not finite; says which.
    """
    wanted = module.state_dict(keep_vars=True)
    tensors = _of_contrast(tensors, wanted)
    held = {_memory(wanted[name]) for name in tensors if name in wanted}
    missing = [n for n in wanted if n not in tensors and (_memory(wanted[n]) not in held or not wanted[n].numel())]
    unexpected = [name for name in tensors if name not in wanted]
    shapes = [n for n in tensors if n in wanted and wanted[n].shape != tensors[n].shape]
    if missing or unexpected or shapes:
        said = [f"missing: {', '.join(missing[:4])}"] if missing else []
        said += [f"unexpected: {', '.join(unexpected[:4])}"] if unexpected else []
        said += [f"{n} is {list(tensors[n].shape)}, here {list(wanted[n].shape)}" for n in shapes[:4]]
        raise CheckpointError(
            "made for another recipe: " + "; ".join(said), where=where, fix="use the recipe it was trained with"
        )
    if not allow_nonfinite:
        refuse_nonfinite(
            {name: part_here(each) for name, each in tensors.items()},
            where,
            "the weights are ruined: take another checkpoint, or train again",
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            wanted[name].copy_(sharded_as(wanted[name], tensor))


TEMPERATURE = "model.temperature"
"""What the contrast's temperature was called while it was the model's, in older checkpoints."""


def _of_contrast(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> Mapping[str, Tensor]:
    """Tensors, or rows of an optimiser's state, with the model's temperature under the names of contrasts that lack it.

    Without a contrast, as in a teacher or a task's model, nobody reads it and it is left out.
    """
    old = {name: tensor for name, tensor in tensors.items() if name.partition("|")[0] == TEMPERATURE}
    kept = {name: tensor for name, tensor in tensors.items() if name not in old}
    here = [name for name in wanted if re.fullmatch(r"objectives\.[^.]+\.temperature", name)]
    for name, tensor in old.items():
        key = name.removeprefix(TEMPERATURE)
        kept |= {each + key: tensor.clone() for each in here if each + key not in kept}
    return kept


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[int, str]) -> dict[str, Tensor]:
    """An optimiser's state as named tensors; `names` maps a parameter's id to its name."""
    made = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            made[f"{names[id(parameter)]}|{key}"] = own(torch.as_tensor(value).detach()).clone()
    return made


def like_moment(row: str, parameters: Mapping[str, nn.Parameter]) -> Tensor | None:
    """What a row of `optimizer_tensors` is cut as: its parameter; a number of updates is none's part."""
    name, _, key = row.rpartition("|")
    return None if key == STEP else parameters.get(name)


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], names: Mapping[int, str]) -> None:
    """Put back what `optimizer_tensors` gave."""
    parameters = {names[id(p)]: p for group in optimizer.param_groups for p in group["params"]}
    for full, value in _of_contrast(tensors, parameters).items():
        name, _, key = full.rpartition("|")
        if name in parameters:
            there = value.to(parameters[name].device, copy=True)
            optimizer.state[parameters[name]][key] = there if key == STEP else sharded_as(parameters[name], there)
