"""A Perceiver resampler: any number of image tokens to a few (Flamingo, Alayrac et al. 2022, section 2.1).

Legend: M pictures, N image tokens, K latents, D width, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlzoo.models.attention import attend, join_heads, split_heads
from vlzoo.models.prepared import check_heads


def squared_relu_mlp(width: int, intermediate: int) -> nn.Sequential:
    """LayerNorm, linear, the square of what is positive (So et al. 2021), linear: Flamingo's feed-forward."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, intermediate), SquaredReLU(), nn.Linear(intermediate, width)
    )


class SquaredReLU(nn.Module):
    """max(0, x) squared."""

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        return torch.relu(x).square()


class ResamplerLayer(nn.Module):
    """Latents read image tokens and each other, then a feed-forward; both are added.

    Args:
        width: D.
        heads: H; divides D.
        intermediate: width of the feed-forward's hidden layer.
    """

    def __init__(self, width: int, heads: int, intermediate: int) -> None:
        super().__init__()
        self.heads = heads
        self.image_norm, self.latent_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.feed_forward = squared_relu_mlp(width, intermediate)

    def forward(self, latent_MKD: Tensor, image_MND: Tensor, allowed: Tensor) -> Tensor:
        """Latents [M, K, D] that have read [M, N, D] where `allowed` (bool, [M, 1, 1, N + K])."""
        normed = self.latent_norm(latent_MKD)
        seen = torch.cat([self.image_norm(image_MND).to(normed.dtype), normed], dim=1)
        query, key, value = (
            split_heads(each, self.heads) for each in (self.query(normed), self.key(seen), self.value(seen))
        )
        latent_MKD = latent_MKD + self.output(join_heads(attend(query, key, value, allowed)))
        return latent_MKD + self.feed_forward(latent_MKD)


class Resampler(nn.Module):
    """Learned latents that read a picture, layer by layer.

    >>> image = torch.randn(3, 16, 96)
    >>> Resampler(96, latents=4, layers=2, heads=4, intermediate=192)(image, torch.ones(3, 16, dtype=torch.bool)).shape
    torch.Size([3, 4, 96])

    Args:
        width: D of the image tokens and of the latents.
        latents: K.
        layers: how many layers.
        heads: H; divides D.
        intermediate: width of the feed-forward's hidden layer.
    """

    def __init__(self, width: int, *, latents: int, layers: int, heads: int, intermediate: int) -> None:
        super().__init__()
        check_heads(width, heads, "resampler")
        self.latents = nn.Parameter(0.02 * torch.randn(latents, width))
        self.stack = nn.ModuleList(ResamplerLayer(width, heads, intermediate) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, image_MND: Tensor, mask_MN: Tensor) -> Tensor:
        """[M, K, D] of image tokens [M, N, D] with their mask."""
        latent_MKD = self.latents.expand(len(image_MND), -1, -1)
        own = mask_MN.new_ones(len(mask_MN), len(self.latents))
        allowed = torch.cat([mask_MN, own], dim=1)[:, None, None]
        for layer in self.stack:
            latent_MKD = layer(latent_MKD, image_MND, allowed)
        normed: Tensor = self.norm(latent_MKD)
        return normed
