"""Any timm model as image encoder: its feature map as tokens.

Legend: M images, N tokens, D width, h and w rows and columns of the grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn

from vlzoo.errors import CheckpointError, UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import ImageEncoder
from vlzoo.models.local_weights import fill, read_weights
from vlzoo.models.packages import package_file
from vlzoo.models.positions import resize_positions
from vlzoo.types import Tokens

_HEADS = ("head", "fc", "classifier", "fc_norm", "norm_pre_head")


class TimmEncoder(ImageEncoder):
    """A ViT, DeiT, BEiT, Swin or CNN of timm without its classifier.

    ViTs give all their tokens after the last norm, and the first as `pooled`; models without a class token
    (Swin, CNNs, ViTs that average) give the mean of their grid.

    Args:
        name: a model's name in timm.
        image_size: height and width of the pictures; None: the model's own. CNNs take any size.
        arguments: further arguments of timm's model, such as patch_size, embed_dim, depth, num_heads, window_size.
        pretrained_path: local weights file; the position table is resized to `image_size`.
        package: installed pip package that holds a .pth or .safetensors file for this model.
        positions: learn a vector for every place of the grid and add it: for CNNs, whose features know no place.
        norm: LayerNorm on the grid's features: for CNNs, which end without one.
    """

    def __init__(
        self,
        *,
        name: str = "vit_base_patch16_224",
        image_size: int | None = None,
        arguments: dict[str, Any] | None = None,
        pretrained_path: str | None = None,
        package: str | None = None,
        positions: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.model = _create(name, image_size, arguments or {})
        self.width = int(self.model.num_features)
        self.norm = nn.LayerNorm(self.width) if norm else nn.Identity()
        file = pretrained_path or (_package_weights(package) if package else None)
        if file:
            _load(self.model, file)
        self.position = None
        if positions:
            grid = _grid_of(self.model, image_size or _input_size(self.model))
            self.position = nn.Parameter(0.02 * torch.randn(1, grid[0] * grid[1], self.width))

    def forward(self, image_M3HW: Tensor) -> Tokens:
        """Tokens of normalised pixels [M, 3, H, W].

        Raises:
            VlzooError: pictures of another size than the learned positions were made for.
        """
        features = self.model.forward_features(image_M3HW)
        x_MND, prefix, grid = _as_tokens(self.model, features, self.width)
        x_MND = self.norm(_last_norm(self.model)(x_MND))
        if self.position is not None:
            x_MND = _placed(x_MND, self.position, prefix)
        mask = torch.ones(x_MND.shape[:2], dtype=torch.bool, device=x_MND.device)
        has_class_token = prefix > 0 and getattr(self.model, "global_pool", "token") == "token"
        pooled = x_MND[:, 0] if has_class_token else x_MND[:, prefix:].mean(dim=1)
        return Tokens(x_MND, mask, pooled, prefix, grid)


def _create(name: str, image_size: int | None, arguments: Mapping[str, Any]) -> nn.Module:
    if not timm.is_model(name):
        raise UnknownName(
            f"timm has no model {name!r}", where="image_encoder timm", fix=did_you_mean(name, timm.list_models())
        )
    given = dict(arguments)
    # Only models with a fixed grid take a size; a CNN would refuse the argument.
    if image_size is not None and _has_fixed_size(name):
        given.setdefault("img_size", image_size)
    try:
        return timm.create_model(name, pretrained=False, num_classes=0, **given)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise VlzooError(
            f"timm can't make {name} with {given}: {error}",
            where="image_encoder timm",
            fix="heads must divide the width and patches the picture; names of arguments are timm's own",
        ) from error


def _has_fixed_size(name: str) -> bool:
    config = timm.get_pretrained_cfg(name)
    return bool(config and config.fixed_input_size)


def _input_size(model: nn.Module) -> int:
    return int(model.pretrained_cfg["input_size"][-1])


def _grid_of(model: nn.Module, size: int) -> tuple[int, int]:
    was_training = model.training
    with torch.no_grad():
        features = model.eval().forward_features(torch.zeros(1, 3, size, size))
    model.train(was_training)
    return _as_tokens(model, features, int(model.num_features))[2] or (1, features.shape[1])


def _as_tokens(model: nn.Module, features: Tensor, width: int) -> tuple[Tensor, int, tuple[int, int] | None]:
    """Feature maps of any layout as tokens [M, N, D], with the prefix and the grid."""
    if features.ndim == 3:
        prefix = int(getattr(model, "num_prefix_tokens", 0))
        return features, prefix, _vit_grid(model, features.shape[1] - prefix)
    if getattr(model, "output_fmt", "NCHW") == "NHWC":
        return features.flatten(1, 2), 0, (features.shape[1], features.shape[2])
    return features.flatten(2).transpose(1, 2), 0, (features.shape[2], features.shape[3])


def _vit_grid(model: nn.Module, tokens: int) -> tuple[int, int] | None:
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if grid is not None and math.prod(grid) == tokens:
        return int(grid[0]), int(grid[1])
    side = math.isqrt(tokens)
    return (side, side) if side * side == tokens else None


def _last_norm(model: nn.Module) -> nn.Module:
    """The norm that ViTs which average put behind the average; their tokens leave `forward_features` without one."""
    norm = getattr(model, "norm", None)
    after = getattr(model, "fc_norm", None)
    return after if isinstance(norm, nn.Identity) and isinstance(after, nn.Module) else nn.Identity()


def _placed(x_MND: Tensor, position_1GD: Tensor, prefix: int) -> Tensor:
    if x_MND.shape[1] - prefix != position_1GD.shape[1]:
        raise VlzooError(
            f"a picture gave {x_MND.shape[1] - prefix} tokens where {position_1GD.shape[1]} positions were learned",
            where="image_encoder timm",
            fix="set the encoder's image_size to the size of the pictures",
        )
    return torch.cat([x_MND[:, :prefix], x_MND[:, prefix:] + position_1GD], dim=1)


def _package_weights(package: str) -> str:
    try:
        return str(package_file(package, ".safetensors"))
    except CheckpointError:
        return str(package_file(package, ".pth"))


def _load(model: nn.Module, file: str) -> None:
    weights = read_weights(file)
    table, own = weights.get("pos_embed"), getattr(model, "pos_embed", None)
    if table is not None and isinstance(own, Tensor) and table.ndim == 3 and table.shape != own.shape:
        prefix = int(getattr(model, "num_prefix_tokens", 0))
        grid = _vit_grid(model, own.shape[1] - prefix)
        weights["pos_embed"] = table if grid is None else resize_positions(table, grid, prefix=prefix)
    fill(model, weights, where=file, optional=_HEADS)
