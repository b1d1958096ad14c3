"""Patches by one convolution: the image side of single-stream models without an image encoder (ViLT, Kim et al. 2021).

Legend: M images, N patches, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.interfaces import ImageEncoder
from vlzoo.models.blocks import init_bert
from vlzoo.types import Tokens


class PatchEncoder(ImageEncoder):
    """One convolution over patches that do not overlap, and a learned vector for every place.

    Args:
        width: D of the tokens it gives.
        patch: side of a patch in pixels.
        image_size: side of the pictures in pixels, a multiple of `patch`.
        dropout: chance of dropping a number.
        class_token: put a learned token before the patches, and pool to it (ViT).
    """

    def __init__(
        self,
        *,
        width: int = 768,
        patch: int = 32,
        image_size: int = 384,
        dropout: float = 0.0,
        class_token: bool = False,
    ) -> None:
        super().__init__()
        if image_size % patch:
            raise VlzooError(
                f"image_size {image_size} is not a multiple of patch {patch}",
                where="image_encoder patch",
                fix=f"set image_size to {image_size // patch * patch or patch}",
            )
        self.width, self.patch, self.image_size = width, patch, image_size
        side = image_size // patch
        self.projection = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, side * side, width))
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Parameter(0.02 * torch.randn(1, 1, width)) if class_token else None
        self.apply(init_bert)

    def forward(self, image_M3HW: Tensor) -> Tokens:
        """Tokens of normalised pixels [M, 3, H, W]; `pooled` is their mean, or the class token.

        Raises:
            VlzooError: pictures of another size than the positions were made for.
        """
        if image_M3HW.shape[-2:] != (self.image_size, self.image_size):
            raise VlzooError(
                f"pictures of {image_M3HW.shape[-2]}x{image_M3HW.shape[-1]} pixels, made for {self.image_size}",
                where="image_encoder patch",
                fix="set the encoder's image_size to the size of the pictures",
            )
        features = self.projection(image_M3HW)
        x_MND = self.dropout(features.flatten(2).transpose(1, 2) + self.position)
        if self.first is not None:
            x_MND = torch.cat([self.first.expand(len(x_MND), -1, -1).to(x_MND.dtype), x_MND], dim=1)
        pooled = x_MND.mean(dim=1) if self.first is None else x_MND[:, 0]
        mask = torch.ones(x_MND.shape[:2], dtype=torch.bool, device=x_MND.device)
        return Tokens(x_MND, mask, pooled, int(self.first is not None), (features.shape[2], features.shape[3]))
