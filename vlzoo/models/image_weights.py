"""Local weights for timm models: classifiers dropped, position tables resized, older names understood."""

from __future__ import annotations

from torch import Tensor, nn

from vlzoo.errors import CheckpointError
from vlzoo.models.local_weights import fill, read_weights
from vlzoo.models.positions import resize_positions
from vlzoo.resources import package_file

_HEADS = ("head", "fc", "classifier")
"""Beginnings of names that belong to a classifier, or to the norm in front of it."""


def package_weights(package: str) -> str:
    """The weights file inside an installed pip package.

    Raises:
        CheckpointError: the package is not installed, or holds neither a .safetensors nor a .pth file.
    """
    try:
        return str(package_file(package, ".safetensors"))
    except CheckpointError:
        return str(package_file(package, ".pth"))


def load_image_weights(model: nn.Module, file: str, *, grid: tuple[int, int] | None) -> None:
    """Fill a timm model from a local file; a position table of another grid is resized to `grid`.

    Raises:
        CheckpointError: the file can't be read, or lacks a weight of the model.
    """
    weights = read_weights(file)
    if any(name.startswith("_conv_stem") for name in weights):
        weights = _from_efficientnet_pytorch(model, weights, file)
    table, own = weights.get("pos_embed"), getattr(model, "pos_embed", None)
    if grid and table is not None and isinstance(own, Tensor) and table.ndim == 3 and table.shape[1] != own.shape[1]:
        prefix = int(getattr(model, "num_prefix_tokens", 0))
        weights["pos_embed"] = resize_positions(table, grid, prefix=prefix)
    fill(model, weights, where=file, optional=_HEADS)


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
