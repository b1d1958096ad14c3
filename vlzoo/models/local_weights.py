"""Reading a weights file from disk, safely: safetensors, or a torch file without arbitrary code."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vlzoo.errors import CheckpointError, did_you_mean

_WRAPPERS = ("model", "state_dict", "model_state_dict")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name, on the CPU; one level of wrapping (`model`, `state_dict`) is undone.

    Raises:
        CheckpointError: no such file, or one that can't be read without running code from it.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        siblings = [other.name for other in file.parent.iterdir()] if file.parent.is_dir() else []
        raise CheckpointError(
            f"there is no weights file {str(path)!r}", fix=did_you_mean(file.name, siblings, what="in its folder")
        )
    try:
        loaded = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(
            f"it can't be read as weights: {str(error).splitlines()[0]}",
            where=str(path),
            fix="give a .safetensors file, or a torch file that holds tensors alone",
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    return {name: value for name, value in loaded.items() if isinstance(value, Tensor)}


def fill(module: nn.Module, weights: dict[str, Tensor], *, where: str, optional: tuple[str, ...] = ()) -> None:
    """Load `weights` into `module`; further entries of the file are not an error, missing ones are.

    Args:
        module: what is filled, in place.
        weights: tensors by the module's names.
        where: the file, for messages.
        optional: beginnings of names that may be missing.

    Raises:
        CheckpointError: a weight is missing or has another shape.
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
    module.load_state_dict({name: value for name, value in weights.items() if name in own}, strict=False)
