"""A detector's regions as image tokens: features and boxes projected, normalised and summed (UNITER, Chen et al. 2020).

Legend: M images, R regions, F width of the features, D width.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from vlzoo.errors import DataError
from vlzoo.interfaces import ImageEncoder
from vlzoo.models.blocks import EPSILON, init_bert
from vlzoo.types import Tokens


class RegionEncoder(ImageEncoder):
    """Region features and boxes to tokens; `pooled` is the mean of the real ones.

    Args:
        features: F, width of the detector's features.
        width: D of the tokens it gives.
        dropout: chance of dropping a number.
    """

    input: ClassVar[Literal["image", "regions"]] = "regions"

    def __init__(self, *, features: int = 2048, width: int = 768, dropout: float = 0.1) -> None:
        super().__init__()
        self.features, self.width = features, width
        self.feature, self.box = nn.Linear(features, width), nn.Linear(7, width)
        self.feature_norm, self.box_norm, self.norm = (nn.LayerNorm(width, eps=EPSILON) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        self.apply(init_bert)

    def forward(self, regions: Any) -> Tokens:
        """Tokens of regions.

        Args:
            regions: a mapping of `features` [M, R, F]; `boxes` [M, R, 4]: left, top, right, bottom as shares of
                the picture's width and height; `mask` [M, R] bool: True where a region is real.

        Raises:
            DataError: features of another width than the encoder was made for.
        """
        features, mask = regions["features"], regions["mask"]
        if features.shape[-1] != self.features:
            raise DataError(
                f"region features are {features.shape[-1]} wide, and the encoder was made for {self.features}",
                where="image_encoder regions",
                fix=f"set the encoder's option features: {features.shape[-1]}",
            )
        placed = self.box_norm(self.box(box_numbers(regions["boxes"])))
        x_MRD = self.dropout(self.norm(self.feature_norm(self.feature(features)) + placed))
        weight = mask[..., None].to(x_MRD.dtype)
        pooled = (x_MRD * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return Tokens(x_MRD, mask, pooled, 0, None)


def box_numbers(box_MR4: Tensor) -> Tensor:
    """Seven numbers a box: its corners, width, height and area, [M, R, 7]."""
    size = box_MR4[..., 2:] - box_MR4[..., :2]
    return torch.cat([box_MR4, size, size.prod(dim=-1, keepdim=True)], dim=-1)
