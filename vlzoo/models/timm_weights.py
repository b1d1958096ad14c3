"""Weights of timm models from files: names of other projects, and tables of places at the model's own size."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from vlzoo.errors import CheckpointError
from vlzoo.models.local_weights import fill, read_weights
from vlzoo.models.positions import resize_positions, resize_relative

_HEADS = ("head", "fc", "classifier")
"""Beginnings of names that belong to a classifier, or to the norm in front of it."""

_STEM = "_conv_stem"
"""What the first layer is called in the `efficientnet_pytorch` line."""


def load_image_weights(model: nn.Module, file: str) -> None:
    """Fill a timm model from a local file; a position table of another grid is resized.

    Raises:
        CheckpointError: the file can't be read, or lacks a weight of the model.
    """
    own = model.state_dict().keys()
    held = read_weights(file, lambda names: len(own & set(names)) or any(n.startswith(_STEM) for n in names))
    given = timm_names(model, held, file)
    weights = {name: resized(model, name, tensor) for name, tensor in given.items()}
    fill(model, weights, where=file, optional=_HEADS)


def timm_names(model: nn.Module, weights: dict[str, Tensor], file: str) -> dict[str, Tensor]:
    """A file's weights by timm's names; those of another project are renamed where we know how.

    Raises:
        CheckpointError: they are of a model of another size.
    """
    if any(name.startswith(_STEM) for name in weights):
        return _from_efficientnet_pytorch(model, weights, file)
    return weights


def resized(model: Any, name: str, table: Tensor) -> Tensor:
    """A weight of a timm model; one that says where tokens stand, for the grid or the windows the model has."""
    if name == "pos_embed":
        return _at_own_grid(model, table)
    own = model.state_dict().get(name) if name.endswith("relative_position_bias_table") else None
    if own is None or own.shape == table.shape or table.shape[1:] != own.shape[1:]:
        return table
    return resize_relative(table, math.isqrt(len(own)))


def _at_own_grid(model: Any, table: Tensor) -> Tensor:
    """A ViT's position table for the size of pictures that the model was made for."""
    grid, own = own_grid(model), getattr(model, "pos_embed", None)
    if grid is None or not isinstance(own, Tensor) or table.ndim != 3 or table.shape[1] == own.shape[1]:
        return table
    prefix = own.shape[1] - math.prod(grid)
    # A table with another number of tokens before the grid, as a distilled DeiT's, is of another model.
    is_square = math.isqrt(max(0, table.shape[1] - prefix)) ** 2 == table.shape[1] - prefix
    return resize_positions(table, grid, prefix=prefix) if is_square else table


def _from_efficientnet_pytorch(model: nn.Module, weights: dict[str, Tensor], file: str) -> dict[str, Tensor]:
    """EfficientNets of the `efficientnet_pytorch` line by timm's names: both list their layers in running order."""
    body = [value for name, value in weights.items() if not name.startswith("_fc")]
    names = list(model.state_dict())
    if len(body) != len(names):
        raise CheckpointError(
            f"it holds {len(body)} weights of an EfficientNet, and the model has {len(names)}",
            where=file,
            fix="choose the timm model of the same size: tf_efficientnet_lite0 for lite0",
        )
    return dict(zip(names, body, strict=True))


def own_grid(model: Any) -> tuple[int, int] | None:
    """Rows and columns of the patches a timm ViT was made for; None for models without a patch grid."""
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    return None if grid is None else (int(grid[0]), int(grid[1]))
