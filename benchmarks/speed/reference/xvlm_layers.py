"""X-VLM's image encoders spelled out in plain torch, under the official names of their weights; nothing fused.

Written from the description of the official code (`../shared/reference/ALBEF_XVLM.md`, section 7) and from the papers
(X-VLM, Zeng et al. 2022; Swin, Liu et al. 2021).

Legend: M pictures, R rows, P both together, N image tokens, D width, H heads, h and w rows and columns of a grid,
W side of a window, T = W W tokens of one, n windows of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from .albef_layers import Sizes, VisionMlp, VisionTransformer, mask_bias

SEEN = -1e4
"""Added to the scores of what a region does not hold."""


@dataclass(frozen=True)
class XvlmSizes(Sizes):
    """Sizes of X-VLM's updates; ViT-B/16 by the defaults.

    Attributes:
        encoder: `vit` or `swin`.
        pictures: pictures that the rows of a region update show.
        local: last blocks of a ViT that look at regions.
        embed: width of a Swin's first stage.
        depths: blocks of its stages.
        stage_heads: heads of its stages.
        window: side of its windows.
        most: most words masked in a text.
    """

    encoder: str = "vit"
    pictures: int = 2
    local: int = 4
    embed: int = 128
    depths: tuple[int, ...] = (2, 2, 18, 2)
    stage_heads: tuple[int, ...] = (4, 8, 16, 32)
    window: int = 7
    most: int = 8

    @property
    def source(self) -> int:
        """Width of the image tokens."""
        return self.width if self.encoder == "vit" else self.embed * 2 ** (len(self.depths) - 1)

    @property
    def grid(self) -> int:
        """Side of the grid that the encoder ends with."""
        return self.pixels // (self.patch if self.encoder == "vit" else 4 * 2 ** (len(self.depths) - 1))


class LocalVision(VisionTransformer):
    """The ViT: its last blocks run on the rows, each with its region alone, and on the whole pictures."""

    def __init__(self, sizes: XvlmSizes) -> None:
        super().__init__(sizes)
        self.local = sizes.local

    def regions(self, image_M3HW: Tensor, row_R: Tensor, read_RN: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of the rows, [R, N, D], and of the whole pictures, [M, N, D]."""
        first = self.cls_token.expand(len(image_M3HW), -1, -1)
        x_MND = torch.cat([first, self.patch_embed(image_M3HW)], dim=1) + self.pos_embed
        for block in self.blocks[: -self.local]:
            x_MND = block(x_MND)
        x_PND = torch.cat([x_MND[row_R], x_MND])
        read_PN = torch.cat([read_RN.float(), torch.ones(x_MND.shape[:2])])
        bias_P11N = mask_bias(read_PN, SEEN)
        for block in self.blocks[-self.local :]:
            x_PND = block(x_PND, bias_P11N)
        x_PND = self.norm(x_PND)
        return x_PND[: len(row_R)], x_PND[len(row_R) :]


class WindowAttention(nn.Module):
    """Self-attention inside windows, with a bias for every relative place."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        place_T2 = torch.cartesian_prod(torch.arange(window), torch.arange(window))
        apart_TT2 = place_T2[:, None] - place_T2[None] + window - 1
        index_TT = apart_TT2[..., 0] * (2 * window - 1) + apart_TT2[..., 1]
        self.register_buffer("relative_position_index", index_TT)

    def forward(self, x_PTD: Tensor, mask_nTT: Tensor | None) -> Tensor:
        """[P, T, D] to [P, T, D], P windows of all pictures; `mask_nTT` is added to the scores."""
        query, key, value = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in self.qkv(x_PTD).chunk(3, dim=-1)
        )
        score_PHTT = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        bias_TTH = self.relative_position_bias_table[self.relative_position_index.flatten()].unflatten(
            0, self.relative_position_index.shape
        )
        score_PHTT = score_PHTT + bias_TTH.permute(2, 0, 1)
        if mask_nTT is not None:
            score = score_PHTT.unflatten(0, (-1, len(mask_nTT))) + mask_nTT[:, None]
            score_PHTT = score.flatten(0, 1)
        return self.proj((score_PHTT.softmax(-1) @ value).transpose(1, 2).flatten(2))


class SwinBlock(nn.Module):
    """Attention in windows, shifted by `shift`, then the feed-forward."""

    attn_mask: Tensor | None

    def __init__(self, width: int, heads: int, side: int, window: int, shift: int) -> None:
        super().__init__()
        self.side, self.window, self.shift = side, window, shift
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = WindowAttention(width, heads, window), VisionMlp(width)
        self.register_buffer("attn_mask", self._between() if shift else None)

    def _between(self) -> Tensor:
        """-100 between tokens of one shifted window that are no neighbours in the picture, [n, T, T]."""
        band = torch.zeros(self.side, dtype=torch.long)
        band[-self.window :], band[-self.shift :] = 1, 2
        area_nT = self._cut((3 * band[:, None] + band)[None, :, :, None].float())[..., 0]
        return (area_nT[:, None] != area_nT[:, :, None]).float() * -100.0

    def _cut(self, x_MhwD: Tensor) -> Tensor:
        """Windows of a grid, [M n, T, D]."""
        x = x_MhwD.unflatten(2, (-1, self.window)).unflatten(1, (-1, self.window))
        return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)

    def _join(self, x_PTD: Tensor) -> Tensor:
        """The grid of windows, [M, h, w, D]."""
        along = self.side // self.window
        x = x_PTD.unflatten(1, (self.window, self.window)).unflatten(0, (-1, along, along))
        return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def forward(self, x_MND: Tensor) -> Tensor:
        """[M, N, D] to [M, N, D]."""
        grid = self.norm1(x_MND).unflatten(1, (self.side, self.side))
        if self.shift:
            grid = torch.roll(grid, (-self.shift, -self.shift), dims=(1, 2))
        grid = self._join(self.attn(self._cut(grid), self.attn_mask))
        if self.shift:
            grid = torch.roll(grid, (self.shift, self.shift), dims=(1, 2))
        x_MND = x_MND + grid.flatten(1, 2)
        return x_MND + self.mlp(self.norm2(x_MND))


class Merging(nn.Module):
    """Four neighbours become one token of twice the width."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.norm, self.reduction = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x_MND: Tensor) -> Tensor:
        """[M, N, D] to [M, N / 4, 2 D]."""
        grid = x_MND.unflatten(1, (self.side, self.side))
        four = [grid[:, down::2, right::2] for right in (0, 1) for down in (0, 1)]
        return self.reduction(self.norm(torch.cat(four, dim=-1).flatten(1, 2)))


class Stage(nn.Module):
    """Blocks of one resolution, every second one shifted; all but the last end with a merging."""

    def __init__(self, width: int, depth: int, heads: int, side: int, window: int, *, last: bool) -> None:
        super().__init__()
        inside, shift = (side, 0) if side <= window else (window, window // 2)
        self.blocks = nn.ModuleList(SwinBlock(width, heads, side, inside, shift * (i % 2)) for i in range(depth))
        self.downsample = None if last else Merging(width, side)

    def forward(self, x_MND: Tensor) -> Tensor:
        """[M, N, D] to [M, N / 4, 2 D], in the last stage to [M, N, D]."""
        for block in self.blocks:
            x_MND = block(x_MND)
        return x_MND if self.downsample is None else self.downsample(x_MND)


class Patches(nn.Module):
    """Patches of four pixels to vectors, and a norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj, self.norm = nn.Conv2d(3, width, 4, 4), nn.LayerNorm(width)

    def forward(self, image_M3HW: Tensor) -> Tensor:
        """[M, 3, H, W] to [M, N, D]."""
        return self.norm(self.proj(image_M3HW).flatten(2).transpose(1, 2))


class Swin(nn.Module):
    """The Swin: it looks at whole pictures alone; of a region, its first token is the mean over the region."""

    def __init__(self, sizes: XvlmSizes) -> None:
        super().__init__()
        self.patch_embed = Patches(sizes.embed)
        stages = zip(sizes.depths, sizes.stage_heads, strict=True)
        self.layers = nn.ModuleList(
            Stage(
                sizes.embed * 2**i,
                depth,
                heads,
                sizes.pixels // 4 // 2**i,
                sizes.window,
                last=i == len(sizes.depths) - 1,
            )
            for i, (depth, heads) in enumerate(stages)
        )
        self.norm = nn.LayerNorm(sizes.source)

    def _grid(self, image_M3HW: Tensor) -> Tensor:
        x_MND = self.patch_embed(image_M3HW)
        for stage in self.layers:
            x_MND = stage(x_MND)
        return self.norm(x_MND)

    def forward(self, image_M3HW: Tensor) -> Tensor:
        """[M, 3, H, W] to the mean and the tokens, [M, N, D]."""
        x_MND = self._grid(image_M3HW)
        return torch.cat([x_MND.mean(1, keepdim=True), x_MND], dim=1)

    def regions(self, image_M3HW: Tensor, row_R: Tensor, read_RN: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of the rows, [R, N, D], and of the whole pictures, [M, N, D]."""
        x_MND = self._grid(image_M3HW)
        x_RND, share_RN1 = x_MND[row_R], read_RN[:, 1:, None].float()
        mean_R1D = (x_RND * share_RN1).sum(1, keepdim=True) / share_RN1.sum(1, keepdim=True)
        whole = torch.cat([x_MND.mean(1, keepdim=True), x_MND], dim=1)
        return torch.cat([mean_R1D, x_RND], dim=1), whole


def vision_of(sizes: XvlmSizes) -> LocalVision | Swin:
    """The image encoder of these sizes."""
    return LocalVision(sizes) if sizes.encoder == "vit" else Swin(sizes)


def head_of(width: int, out: int) -> nn.Sequential:
    """The head of matching and of boxes."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.GELU(), nn.Linear(2 * width, out))


def contrast_of(feature: Tensor) -> Tensor:
    """Unit vectors."""
    return F.normalize(feature, dim=-1)
