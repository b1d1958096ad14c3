"""Any timm model as image encoder: its feature map as tokens.

Legend: M images, N tokens, G those of the grid, D width, h and w rows and columns of the grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import timm
import torch
from timm.layers import build_sincos2d_pos_embed
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import TrainingError, UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import ImageEncoder
from vlzoo.models.gelu_linear import join_gelu
from vlzoo.models.timm_weights import load_image_weights, own_grid, resized
from vlzoo.resources import package_weights
from vlzoo.types import Tokens

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""What pictures are normalised with everywhere in vlzoo, as in ALBEF and X-VLM, DeiT and Swin included."""


class TimmEncoder(ImageEncoder):
    """A ViT, DeiT, BEiT, Swin or CNN of timm without its classifier.

    ViTs give all their tokens after the last norm, and the first as `pooled`; models without a class token pool to the
    mean of their grid (Swin, CNNs, ViTs that average), or by attention where they have a head for it (SigLIP's).

    Args:
        name: a model's name in timm.
        image_size: height and width of the pictures; None: the model's own. CNNs take any size.
        arguments: further arguments of timm's model, such as patch_size, embed_dim, depth, num_heads, window_size.
        pretrained_path: local weights file; the position table is resized to `image_size`.
        package: installed pip package that holds a .pth or .safetensors file for this model.
        positions: learn a vector for every place of the grid and add it: for CNNs, whose features know no place. True:
            it starts small and at random; `sincos`: as sines and cosines of row and column, as large as what `norm`
            gives, which a short training needs to find out where something is.
        first: `mean`: the mean of the grid (`merged`) stands before it as a token, for fusions that read a whole
            picture there, as X-VLM's Swin; empty: what the model has.
        norm: LayerNorm on the grid's features: for CNNs, which end without one.
        pool: of so many rows and columns of a CNN's grid the largest values make one token (Pixel-BERT: 2).
        own_colours: bring the pixels back to the mean and deviation that timm's weights were made with.
        frozen: leave timm's weights and batch statistics as they are.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        *,
        name: str = "vit_base_patch16_224",
        image_size: int | None = None,
        arguments: dict[str, Any] | None = None,
        pretrained_path: str | None = None,
        package: str | None = None,
        positions: bool | Literal["sincos"] = False,
        first: Literal["", "mean"] = "",
        norm: bool = False,
        pool: int = 1,
        own_colours: bool = False,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        if positions not in (True, False, "sincos"):
            fix = did_you_mean(str(positions), ["sincos"], what="choices")
            raise UnknownName(f"positions can't be {positions!r}", where="image_encoder timm", fix=fix)
        self.model, self.pooling = _create(name, image_size, arguments or {}), _whole(pool)
        self.width, self.patch = int(self.model.num_features), _patch_of(self.model)
        made_for = _strict_size(self.model)
        self.image_size = made_for[0] if made_for and made_for[0] == made_for[1] else None
        self.norm = nn.LayerNorm(self.width) if norm else nn.Identity()
        file = pretrained_path or (str(package_weights(package)) if package else None)
        if file:
            load_image_weights(self.model, file)
            self.filled = tuple(f"model.{each}" for each in self.model.state_dict())
        self.frozen, self.first = frozen, first
        self.model.requires_grad_(not frozen)
        scale, shift = _colours(self.model) if own_colours else (torch.ones(3), torch.zeros(3))
        self.own_colours = own_colours
        self.register_buffer("scale", scale[:, None, None], persistent=False)
        self.register_buffer("shift", shift[:, None, None], persistent=False)
        self.position = None
        if positions:
            grid = _grid_of(self.model, image_size or _input_size(self.model), self.pooling)
            self.position = nn.Parameter(_first_positions(grid, self.width, waves=positions == "sincos"))

    def forward(self, image_M3HW: Tensor) -> Tokens:
        """Tokens of normalised pixels [M, 3, H, W].

        Raises:
            VlzooError: pictures of another size than the model or its positions were made for.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.model.forward_features(self.coloured(image_M3HW))
        x_MND, prefix, grid = _as_tokens(self.model, features, self.pooling)
        x_MND = self.norm(_last_norm(self.model)(x_MND))
        if self.position is not None:
            x_MND = _placed(x_MND, self.position, prefix)
        return self.tokens(x_MND, prefix, grid)

    def coloured(self, image_M3HW: Tensor) -> Tensor:
        """Pixels [M, 3, H, W] in the colours that timm's weights know.

        Raises:
            VlzooError: pictures of another size than the model was made for.
        """
        _check_size(self.model, image_M3HW)
        return image_M3HW * self.scale + self.shift if self.own_colours else image_M3HW

    def tokens(self, x_MND: Tensor, prefix: int, grid: tuple[int, int] | None) -> Tokens:
        """Features [M, N, D] with their pooled state, and the mean before them where the options say so."""
        has_class_token = prefix > 0 and getattr(self.model, "global_pool", "token") == "token"
        pooled = x_MND[:, 0] if has_class_token else self.merged(x_MND[:, prefix:])
        if self.first == "mean" and prefix == 0:
            x_MND, prefix = torch.cat([pooled[:, None], x_MND], dim=1), 1
        mask = torch.ones(x_MND.shape[:2], dtype=torch.bool, device=x_MND.device)
        return Tokens(x_MND, mask, pooled, prefix, grid)

    def merged(self, grid_MGD: Tensor) -> Tensor:
        """One vector for each picture, [M, D], where the model has no class token: its own head's, or the mean."""
        if getattr(self.model, "global_pool", "") == "map":
            pooled: Tensor = self.model.forward_head(grid_MGD, pre_logits=True)
            return pooled
        return grid_MGD.mean(dim=1)

    def grid_of(self, places: int) -> tuple[int, int] | None:
        """Rows and columns of a grid of so many tokens; None where they form none."""
        return _vit_grid(self.model, places)

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`, by timm's own switch; frozen, it keeps nothing anyway.

        Raises:
            TrainingError: timm's model has no such layers.
        """
        if self.frozen:
            return False
        try:
            self.model.set_grad_checkpointing(True)
        except AssertionError as error:
            fix = "leave train.checkpointing out, or take a ViT, Swin, ResNet or ConvNeXt"
            raise TrainingError(
                f"timm's {type(self.model).__name__} can't compute its layers again: {error}", fix=fix
            ) from None
        return True

    def start_from(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Its own names, and tables of places at its own size: a ViT's for its grid, a Swin's for its windows."""
        own = super().start_from(name, tensors)
        return {each: resized(self.model, each.removeprefix("model."), tensor) for each, tensor in own.items()}

    def train(self, mode: bool = True) -> TimmEncoder:
        """Training mode; frozen weights stay in evaluation mode, so that batch statistics rest too."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self


def _whole(pool: int) -> int:
    if isinstance(pool, bool) or not isinstance(pool, int) or pool < 1:
        fix = "give a number of rows, as 2 in Pixel-BERT"
        raise VlzooError(f"pool can't be {pool!r}", where="image_encoder timm", fix=fix)
    return pool


def _create(name: str, image_size: int | None, arguments: Mapping[str, Any]) -> Any:
    if not timm.is_model(name):
        raise UnknownName(
            f"timm has no model {name!r}", where="image_encoder timm", fix=did_you_mean(name, timm.list_models())
        )
    given = dict(arguments)
    # Only models with a fixed grid take a size; a CNN would refuse the argument.
    if image_size is not None and _has_fixed_size(name):
        given.setdefault("img_size", image_size)
    try:
        model = timm.create_model(name, pretrained=False, num_classes=0, **given)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise VlzooError(
            f"timm can't make {name} with {given}: {error}",
            where="image_encoder timm",
            fix="heads must divide the width and patches the picture; names of arguments are timm's own",
        ) from error
    join_gelu(model)
    return model


def _has_fixed_size(name: str) -> bool:
    config = timm.get_pretrained_cfg(name)
    return bool(config and config.fixed_input_size)


def _strict_size(model: Any) -> tuple[int, int] | None:
    """Height and width of the pictures that a model was made for; None where it takes others."""
    patches = getattr(model, "patch_embed", None)
    size = getattr(patches, "img_size", None)
    return None if size is None or not getattr(patches, "strict_img_size", True) else (int(size[0]), int(size[1]))


def _check_size(model: Any, image_M3HW: Tensor) -> None:
    size, given = _strict_size(model), tuple(image_M3HW.shape[-2:])
    if size is not None and given != size:
        raise VlzooError(
            f"pictures of {given[0]}x{given[1]} pixels were given to a model made for {size[0]}x{size[1]}",
            where="image_encoder timm",
            fix=f"set the encoder's image_size to {given[0]}, or resize the pictures",
        )


def _input_size(model: Any) -> int:
    return int(model.pretrained_cfg["input_size"][-1])


def _colours(model: Any) -> tuple[Tensor, Tensor]:
    # (x clip_std + clip_mean - mean) / std, as one multiplication and one addition.
    mean, std = (torch.tensor(model.pretrained_cfg[key]) for key in ("mean", "std"))
    return torch.tensor(CLIP_STD) / std, (torch.tensor(CLIP_MEAN) - mean) / std


def _grid_of(model: Any, size: int, pool: int) -> tuple[int, int]:
    was_training = model.training
    with torch.no_grad():
        features = model.eval().forward_features(torch.zeros(1, 3, size, size))
    model.train(was_training)
    return _as_tokens(model, features, pool)[2] or (1, features.shape[1])


def _as_tokens(model: Any, features: Tensor, pool: int) -> tuple[Tensor, int, tuple[int, int] | None]:
    """Feature maps of any layout as tokens [M, N, D], with the prefix and the grid."""
    if pool > 1:
        if features.ndim == 3 or getattr(model, "output_fmt", "NCHW") != "NCHW" or min(features.shape[2:]) < pool:
            what = f"pool: {pool} can't be: the model gives no grid of a CNN with so many rows and columns"
            raise VlzooError(what, where="image_encoder timm", fix="set pool: 1, or take larger pictures")
        features = F.max_pool2d(features, pool)
    if features.ndim == 3:
        prefix = int(getattr(model, "num_prefix_tokens", 0))
        return features, prefix, _vit_grid(model, features.shape[1] - prefix)
    if getattr(model, "output_fmt", "NCHW") == "NHWC":
        return features.flatten(1, 2), 0, (features.shape[1], features.shape[2])
    return features.flatten(2).transpose(1, 2), 0, (features.shape[2], features.shape[3])


def _patch_of(model: Any) -> int:
    """Side in pixels of what a token stands for; 1 for models without patches, which take any size."""
    if not hasattr(model, "patch_embed"):
        return 1
    # A hybrid of depth 0 is its convolutions alone.
    ratio = model.feature_info[-1]["reduction"] if model.feature_info else model.patch_embed.feat_ratio()
    return int(ratio if isinstance(ratio, int) else max(ratio))


def _vit_grid(model: Any, tokens: int) -> tuple[int, int] | None:
    grid = own_grid(model)
    if grid is not None and math.prod(grid) == tokens:
        return grid
    side = math.isqrt(tokens)
    return (side, side) if side * side == tokens else None


def _last_norm(model: Any) -> nn.Module:
    """The norm that ViTs which average put behind the average; their tokens leave `forward_features` without one."""
    norm = getattr(model, "norm", None)
    after = getattr(model, "fc_norm", None)
    return after if isinstance(norm, nn.Identity) and isinstance(after, nn.Module) else nn.Identity()


def _first_positions(grid: tuple[int, int], width: int, *, waves: bool) -> Tensor:
    """A vector for every place before training, [1, G, D]: waves, the longest of 63 cells, or small random numbers."""
    if not waves:
        return 0.02 * torch.randn(1, grid[0] * grid[1], width)
    if width % 4:
        raise VlzooError(
            f"positions can't be sines and cosines of {width} numbers",
            where="image_encoder timm",
            fix="take a model whose width is a multiple of 4, or `positions: true`",
        )
    return build_sincos2d_pos_embed(list(grid), width, temperature=10.0)[None]


def _placed(x_MND: Tensor, position_1GD: Tensor, prefix: int) -> Tensor:
    if x_MND.shape[1] - prefix != position_1GD.shape[1]:
        raise VlzooError(
            f"a picture gave {x_MND.shape[1] - prefix} tokens where {position_1GD.shape[1]} positions were learned",
            where="image_encoder timm",
            fix="set the encoder's image_size to the size of the pictures",
        )
    return torch.cat([x_MND[:, :prefix], x_MND[:, prefix:] + position_1GD], dim=1)
