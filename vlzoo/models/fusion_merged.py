"""Fusion in one stream: words and image tokens attend to each other (UNITER, Oscar, ViLT, VLMixer).

Legend: P texts, M image rows, N image tokens, L text tokens, K kept positions, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Fusion, Prepared
from vlzoo.models.attention import group_size
from vlzoo.models.blocks import Block, init_bert
from vlzoo.models.fusion_cross import kept_mask
from vlzoo.models.prepared import check_heads
from vlzoo.types import Fused, Tokens


class MergedFusion(Fusion):
    """BERT layers over the text followed by the image tokens, each with a vector that says which it is.

    Args:
        width: D of the fused states.
        layers: number of layers.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        dropout: chance of dropping attention entries and hidden numbers.
        images: the most pictures one text reads.
        image_width: width of the image tokens; None: the same as `width`, another: a projection is added.
        text_width: width of the text tokens; likewise.
    """

    cross_attention = False

    def __init__(
        self,
        *,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        intermediate: int = 3072,
        dropout: float = 0.1,
        images: int = 1,
        image_width: int | None = None,
        text_width: int | None = None,
    ) -> None:
        super().__init__()
        check_heads(width, heads, "fusion merged")
        self.width, self.layers, self.images = width, layers, images
        self.text, self.image = _projection(text_width, width), _projection(image_width, width)
        self.kind = nn.Embedding(1 + images, width)
        made = (Block(width, heads, intermediate, dropout, cross=False) for _ in range(layers))
        self.stack = cast("Sequence[Block]", nn.ModuleList(made))
        self.apply(init_bert)
        if isinstance(self.text, nn.Identity):
            # A text alone then passes through plain BERT layers; which is which, the pictures' vectors tell.
            nn.init.zeros_(self.kind.weight.data[0])

    def prepare(self, image: Tokens) -> Tokens:
        """The image tokens, projected; everything deeper depends on the text too."""
        return replace(image, x=self.image(image.x))

    def fuse(
        self,
        text: Tokens,
        images: Sequence[Prepared],
        row_of_image: Tensor | None = None,
        *,
        attention: int | None = None,
        positions_PK: Tensor | None = None,
    ) -> Fused:
        """Fuse P texts with their pictures; gives the text positions.

        Args:
            text: tokens of P texts.
            images: prepared pictures, one entry for each picture a text reads.
            row_of_image: for each text the row of every entry of `images` it reads, [P] int64; None: text p
                reads row p M // P.
            attention: must be None: there is no map of text over image tokens alone.
            positions_PK: text positions the caller will read, [P, K] int64 (-1: none); the last layer
                computes these rows only.

        Raises:
            VlzooError: a map is asked for, or more pictures than the fusion was made for.
        """
        self._check(len(images), attention)
        parts = [(self.text(text.x) + self.kind.weight[0], text.mask)]
        for slot, image in enumerate(images, start=1):
            own = _rows(image, len(text.x), row_of_image)
            parts.append((own.x + self.kind.weight[slot], own.mask))
        x_PSD = torch.cat([x for x, _ in parts], dim=1)
        allowed = torch.cat([mask for _, mask in parts], dim=1)[:, None, None, :]
        for block in self.stack[:-1]:
            x_PSD, _ = block(x_PSD, allowed)
        x_PLD, _ = self.stack[-1](x_PSD, allowed, positions_PQ=self._last(text.mask, positions_PK))
        return Fused(x_PLD, kept_mask(text.mask, positions_PK), None, positions_PK)

    def _last(self, mask_PL: Tensor, positions_PK: Tensor | None) -> Tensor:
        """The positions the last layer computes: image tokens are read there, and no longer needed after."""
        if positions_PK is not None:
            return positions_PK
        return torch.arange(mask_PL.shape[1], device=mask_PL.device).expand(len(mask_PL), -1)

    def _check(self, images: int, attention: int | None) -> None:
        if attention is not None:
            raise VlzooError(
                "a merged fusion has no attention map of text over image tokens",
                where="fusion merged",
                fix="use the fusion cross_attention for Grad-CAM and soft masks",
            )
        if images > self.images:
            raise VlzooError(
                f"{images} pictures a text were given to a fusion made for {self.images}",
                where="fusion merged",
                fix=f"set the fusion's option images: {images}",
            )


def _projection(source: int | None, width: int) -> nn.Module:
    # Where widths agree a projection would only stand between a BERT's embeddings and its layers.
    return nn.Identity() if source is None or source == width else nn.Linear(source, width)


def _rows(image: Prepared, texts: int, rows: Tensor | None) -> Tokens:
    if not isinstance(image, Tokens):
        raise VlzooError(
            f"a merged fusion reads tokens, and was given {type(image).__name__}",
            where="fusion merged",
            fix="prepare the picture with the fusion that reads it",
        )
    if rows is not None:
        return image.gather(rows)
    group = group_size(texts, len(image.x))
    if group == 1:
        return image
    return image.gather(torch.arange(len(image.x), device=image.x.device).repeat_interleave(group))
