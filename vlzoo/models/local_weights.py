"""Reading a weights file from disk, safely: safetensors, or a torch file without arbitrary code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from vlzoo.errors import CheckpointError, did_you_mean
from vlzoo.file_kinds import OLDER_TORCH, PICKLE, SAFETENSORS, TORCH, kind_of
from vlzoo.models.safe_torch import load_torch, unreadable
from vlzoo.models.state_names import Fits, state_of

logger = logging.getLogger("vlzoo.weights")

Shapes = Mapping[str, tuple[int, ...]]

_ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")


def read_weights(
    path: str | Path, fits: Fits | None = None, say: Callable[[str], None] = logger.warning
) -> dict[str, Tensor]:
    """The tensors of a weights file by name, on the CPU.

    The file is read by what it is, whatever it is called. Wrappers around the weights (`model`, `state_dict`) are
    undone, and what wrote itself into names (`module.`, `_orig_mod.`) is taken out where the names fit without it.

    Args:
        path: the file.
        fits: how well names fit what reads them; None: names stay as they are.
        say: told what was undone.

    Raises:
        CheckpointError: no such file, one that can't be read without running code from it, or one without weights.
    """
    file = _found(path)
    state = state_of(_held(file, load_file), fits, str(path))
    bare = [name for name, tensor in state.tensors.items() if tensor.is_meta]
    if bare:
        fix = "save the weights when they have been loaded"
        raise CheckpointError(f"{bare[0]!r} has a shape and no numbers", where=str(path), fix=fix)
    if state.note():
        say(f"{file.name}: read {state.note()}")
    return state.tensors


def read_shapes(path: str | Path, fits: Fits | None = None, say: Callable[[str], None] = logger.warning) -> Shapes:
    """Names and shapes as `read_weights` would give them; of a safetensors file only the header is read.

    Raises:
        CheckpointError: as `read_weights`.
    """
    file = _found(path)
    state = state_of(_held(file, _header), fits, str(path))
    if state.note():
        say(f"{file.name}: read {state.note()}")
    return {name: tuple(tensor.shape) for name, tensor in state.tensors.items()}


def _found(path: str | Path) -> Path:
    file = Path(path).expanduser()
    try:
        there = file.is_file()
    except OSError as error:  # a name too long, a folder that may not be entered
        raise CheckpointError(f"it can't be read as weights: {error.strerror}", where=f"{path!s:.120}") from None
    if there:
        return file
    if file.is_dir():
        inside = sorted(each.name for each in file.iterdir())
        likely = [name for name in inside if name.endswith(_ENDINGS)] or inside
        fix = f"name one of its files: {', '.join(likely[:6])}" if likely else "it is empty; give a file"
        raise CheckpointError(f"{str(path)!r} is a folder, and a file of weights is wanted", fix=fix)
    if file.exists():
        raise CheckpointError(f"{str(path)!r} is no regular file", fix="give a file of weights")
    siblings = [each.name for each in file.parent.iterdir() if each.is_file()] if file.parent.is_dir() else []
    fix = did_you_mean(file.name, siblings, what="in its folder")
    raise CheckpointError(f"there is no weights file {str(path)!r}", fix=fix)


def _held(file: Path, safetensors: Callable[[Path], Mapping[str, Tensor]]) -> object:
    """What a file holds, by what it is; `safetensors` reads those."""
    try:
        kind = kind_of(file)
        if kind in (TORCH, OLDER_TORCH, PICKLE):
            return load_torch(file)
        if kind == SAFETENSORS:
            return safetensors(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(file, error) from None
    raise unreadable(file)


def _header(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file without their numbers."""
    with safe_open(file, "pt") as opened:
        shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def refuse_nonfinite(tensors: Mapping[str, Tensor], where: str, fix: str) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        tensors: by name.
        where: the file, for messages.
        fix: what to do about it.

    Raises:
        CheckpointError: says how many numbers of which tensors.
    """
    if found := said_nonfinite(tensors):
        raise CheckpointError(found, where=where, fix=fix)


def said_nonfinite(tensors: Mapping[str, Tensor], most: int = 4) -> str:
    """Which tensors hold NaN or infinite numbers, and how many; empty where none does.

    >>> said_nonfinite({"a": torch.ones(2), "b": torch.tensor([1.0, float("nan"), float("inf")])})
    '1 of 2 tensors holds numbers that are not finite: b (1 NaN, 1 infinite, of 3)'
    """
    found = []
    for name, tensor in tensors.items():
        if tensor.is_floating_point() or tensor.is_complex():
            plain = tensor.float() if tensor.element_size() == 1 else tensor
            if not plain.isfinite().all():
                nan, infinite = int(plain.isnan().sum()), int(plain.isinf().sum())
                counts = [f"{count} {word}" for count, word in ((nan, "NaN"), (infinite, "infinite")) if count]
                found.append(f"{name} ({', '.join(counts)}, of {tensor.numel()})")
    if not found:
        return ""
    shown = ", ".join(found[:most]) + (f", and {len(found) - most} more" if len(found) > most else "")
    verb = "holds" if len(found) == 1 else "hold"
    return f"{len(found)} of {len(tensors)} tensors {verb} numbers that are not finite: {shown}"


def fill(module: nn.Module, weights: dict[str, Tensor], *, where: str, optional: tuple[str, ...] = ()) -> None:
    """Load `weights` into `module`; further entries of the file are not an error, missing ones are.

    Args:
        module: what is filled, in place.
        weights: tensors by the module's names.
        where: the file, for messages.
        optional: beginnings of names that may be missing.

    Raises:
        CheckpointError: a weight is missing, has another shape, or holds numbers that are not finite.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in weights and not name.startswith(optional or ("\0",))]
    if missing:
        raise CheckpointError(
            f"{len(missing)} of {len(own)} weights are missing, the first is {missing[0]!r}",
            where=where,
            fix=did_you_mean(missing[0], weights, what="the file holds"),
        )
    for name, value in own.items():
        if name in weights and weights[name].shape != value.shape:
            raise CheckpointError(
                f"{name!r} has the shape {list(weights[name].shape)}, and the model wants {list(value.shape)}",
                where=where,
                fix="give the part the sizes that the weights were made with",
            )
    taken = {name: value for name, value in weights.items() if name in own}
    refuse_nonfinite(taken, where, "get the file again, or give other weights")
    module.load_state_dict(taken, strict=False)
