"""A small fusion with a matching head, in float64 or float32.

Legend: B pairs, L text tokens, N image tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.types import Fused, Tokens

WIDTH, IMAGE_WIDTH, PATCHES = 16, 12, 6


@dataclass
class Matcher:
    """A fusion, a head, and three pairs of random tokens; texts of 5, 3 and 4 tokens."""

    fusion: CrossAttentionFusion
    head: nn.Module
    text: Tokens
    image: Tokens

    def run(self, layer: int, *, rows: Tensor | None = None, **options) -> tuple[Tensor, Fused]:
        """The positive logits [B] and the pass, of all pairs or of some."""
        text = self.text if rows is None else self.text.gather(rows)
        image = self.image if rows is None else self.image.gather(rows)
        fused = self.fusion.fuse(text, [self.fusion.prepare(image)], attention=layer, **options)
        return self.head(fused.cls)[:, 1], fused


@pytest.fixture
def make_matcher():
    """Weights of a size at which every path shows in the logit."""

    def make(layers: int = 3, dtype: torch.dtype = torch.float32) -> Matcher:
        generator = torch.Generator().manual_seed(0)
        fusion = CrossAttentionFusion(
            width=WIDTH, layers=layers, heads=4, intermediate=32, image_width=IMAGE_WIDTH, dropout=0.0
        )
        head = nn.Linear(WIDTH, 2)
        with torch.no_grad():
            for name, parameter in [*fusion.named_parameters(), *head.named_parameters()]:
                if "norm" not in name:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        mask_BL = torch.arange(5) < torch.tensor([5, 3, 4])[:, None]
        x_BLD = torch.randn(3, 5, WIDTH, generator=generator, dtype=dtype)
        x_BND = torch.randn(3, 1 + PATCHES, IMAGE_WIDTH, generator=generator, dtype=dtype)
        text = Tokens(x_BLD, mask_BL, x_BLD[:, 0])
        image = Tokens(x_BND, torch.ones(3, 1 + PATCHES, dtype=torch.bool), x_BND[:, 0], 1, (2, 3))
        return Matcher(fusion.to(dtype).eval(), head.to(dtype), text, image)

    return make
