"""A picture as a few tokens that learned queries have read of it: CoCa's attentional pooling (Yu et al. 2022).

Legend: M images, N image tokens, Q queries, D width, H heads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.models.attention import attend, join_heads, split_heads
from vlzoo.models.blocks import init_bert
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.prepared import check_heads
from vlzoo.types import Tokens


class AttentionalPooler(nn.Module):
    """One attention layer whose queries are learned.

    >>> AttentionalPooler(96, queries=4, heads=4)(step.image().x).shape
    torch.Size([4, 4, 96])

    Args:
        width: D.
        queries: Q.
        heads: H; divides the width.
    """

    def __init__(self, width: int, *, queries: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(0.02 * torch.randn(queries, width))
        self.query_norm, self.norm, self.last_norm = (nn.LayerNorm(width) for _ in range(3))
        self.reads, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.apply(init_bert)

    def forward(self, x_MND: Tensor) -> Tensor:
        """What each query has read of the tokens [M, N, D], [M, Q, D]."""
        x_MND = self.norm(x_MND)
        query = split_heads(self.reads(self.query_norm(self.query))[None], self.heads).expand(len(x_MND), -1, -1, -1)
        allowed = torch.ones(1, 1, 1, x_MND.shape[1], dtype=torch.bool, device=x_MND.device)
        key, value = split_heads(self.key(x_MND), self.heads), split_heads(self.value(x_MND), self.heads)
        read_MQD: Tensor = self.output(join_heads(attend(query.to(x_MND.dtype), key, value, allowed)))
        return self.last_norm(read_MQD)


class QueryEncoder(TimmEncoder):
    """Any timm model, whose tokens are read by learned queries: some for a decoder, one for the contrast.

    Its tokens are those of the first ones, without a grid; the last one's is `pooled`. Both read what the model ends
    with, side by side.

    Args:
        queries: how many tokens a decoder reads; CoCa has 256.
        heads: attention heads of both poolers; they divide the width.
        timm: as the part `timm` has them.

    Raises:
        VlzooError: there is no query, or the heads do not divide the width.
    """

    def __init__(self, *, queries: int = 256, heads: int = 12, **timm: Any) -> None:
        super().__init__(**timm)
        if queries < 1:
            raise VlzooError(f"queries can't be {queries}", where="image_encoder queries", fix="CoCa has 256")
        check_heads(self.width, heads, "image_encoder queries")
        self.several = AttentionalPooler(self.width, queries=queries, heads=heads)
        self.one = AttentionalPooler(self.width, queries=1, heads=heads)

    def tokens(self, x_MND: Tensor, prefix: int, grid: tuple[int, int] | None) -> Tokens:
        """What the queries have read of features [M, N, D]: x [M, Q, D] and the pooled state [M, D]."""
        read_MQD, pooled_MD = self.several(x_MND), self.one(x_MND)[:, 0]
        mask = torch.ones(read_MQD.shape[:2], dtype=torch.bool, device=read_MQD.device)
        return Tokens(read_MQD, mask, pooled_MD, 0, None)
