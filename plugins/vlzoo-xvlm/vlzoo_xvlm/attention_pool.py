"""A region's global token by attention: what each token of the region counts is learned.

Legend: M pictures, R rows, N image tokens with the prefix, G those of the grid, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vlzoo.batch import View
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.types import Tokens


class AttentionPool(TimmEncoder):
    """Any timm model, whose tokens are merged by attention where X-VLM takes their mean.

    A learned query scores the tokens of a region, and of a whole picture where the model has no class token; the shares
    are the softmax of the scores over them. The query begins as zeros, and the pool as the mean.

    Args:
        timm: as the part `timm` has them; `first: mean` puts the pooled state before the grid.
    """

    def __init__(self, **timm: Any) -> None:
        super().__init__(**timm)
        self.query = nn.Parameter(torch.zeros(self.width))

    def merged(self, grid_MGD: Tensor) -> Tensor:
        """Whole pictures by attention, [M, D]."""
        share_MG = self.scores(grid_MGD).softmax(dim=1)
        return (share_MG[:, None].to(grid_MGD.dtype) @ grid_MGD)[:, 0]

    def pool(self, whole: Tokens, part: View) -> Tensor:
        """Shares of the tokens, [R, N]: attention over a part's cells; of a part without a cell over its picture."""
        real_RG = View(rows=part.rows).allowed(whole)[:, whole.prefix :]
        read_RG = part.allowed(whole)[:, whole.prefix :]
        read_RG = torch.where(read_RG.any(1, keepdim=True), read_RG, real_RG)
        score_MG = self.scores(whole.x[:, whole.prefix :])
        score_RG = score_MG if part.rows is None else score_MG[part.rows]
        share_RG = score_RG.masked_fill(~read_RG, -torch.inf).softmax(dim=1).to(whole.x.dtype)
        return torch.cat([share_RG.new_zeros(len(share_RG), whole.prefix), share_RG], dim=1)

    def scores(self, grid_MGD: Tensor) -> Tensor:
        """Each token's dot product with the query over the root of the width, [M, G] float32."""
        return (grid_MGD @ self.query.to(grid_MGD.dtype)).float() / self.width**0.5
