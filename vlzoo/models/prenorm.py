"""Transformer blocks that normalise before each half (CLIP, SigLIP, ViT, GPT-2), where BERT's do after it.

Legend: P rows, L positions, Q queried positions, D width, H heads, d head width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import UnknownName, did_you_mean
from vlzoo.models.attention import attend, join_heads, split_heads
from vlzoo.models.blocks import Reading, take_positions
from vlzoo.models.gelu_linear import gelu_linear


def quick_gelu(x: Tensor) -> Tensor:
    """`x sigmoid(1.702 x)`: the GELU that OpenAI's CLIP was trained with.

    >>> quick_gelu(torch.tensor([0.0, 2.0]))
    tensor([0.0000, 1.9357])
    """
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "quick_gelu": quick_gelu,
}
"""Functions between the two matrices of a feed-forward, by the names that timm has for them, too."""


class PreNormBlock(nn.Module):
    """`x + attention(norm(x))`, then `x + feed_forward(norm(x))`.

    >>> block = PreNormBlock(96, 4, 192, 0.0)
    >>> block(torch.randn(3, 5, 96), torch.ones(3, 1, 1, 5, dtype=torch.bool))[0].shape
    torch.Size([3, 5, 96])

    Args:
        width: D.
        heads: H; divides D.
        intermediate: width of the feed-forward's hidden layer.
        dropout: chance of dropping attention entries and what each half adds.
        activation: one of `ACTIVATIONS`.
        epsilon: of both LayerNorms.

    Raises:
        UnknownName: there is no such activation.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        intermediate: int,
        dropout: float,
        *,
        activation: str = "gelu",
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            fix = did_you_mean(activation, ACTIVATIONS, what="activations")
            raise UnknownName(f"no activation {activation!r}", fix=fix)
        self.heads, self.dropout, self.activation = heads, dropout, activation
        self.attention_norm, self.norm = (nn.LayerNorm(width, eps=epsilon) for _ in range(2))
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.dense, self.end = nn.Linear(width, intermediate), nn.Linear(intermediate, width)

    def project(self, x_PLD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of states, [P, H, L, d] each."""
        normed = self.attention_norm(x_PLD)
        return split_heads(self.key(normed), self.heads), split_heads(self.value(normed), self.heads)

    def forward(
        self,
        x_PLD: Tensor,
        allowed: Tensor,
        reading: Reading | None = None,
        *,
        positions_PQ: Tensor | None = None,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, None]:
        """The states after this block; arguments as `vlzoo.models.blocks.Block` takes them, `reading` apart."""
        keys = self.project(x_PLD) if past is None else past
        state = x_PLD if positions_PQ is None else take_positions(x_PLD, positions_PQ)
        query = split_heads(self.query(self.attention_norm(state)), self.heads)
        read = attend(query, *keys, allowed, dropout=self.dropout if self.training else 0.0)
        state = state + self._dropped(self.output(join_heads(read)))
        return state + self._dropped(self._feed_forward(self.norm(state))), None

    def _feed_forward(self, x: Tensor) -> Tensor:
        hidden = self.dense(x)
        if self.activation == "gelu":
            return gelu_linear(hidden, self.end.weight, self.end.bias)
        found: Tensor = self.end(ACTIVATIONS[self.activation](hidden))
        return found

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def init_prenorm(stack: nn.Module, width: int, layers: int) -> None:
    """Weights as CLIP's text tower begins with (Radford et al. 2021): what is added shrinks with the number of layers.

    Deviations: width^-1/2 for queries, keys and values; (2 width)^-1/2 into the feed-forward; and
    width^-1/2 (2 layers)^-1/2 for both matrices whose product is added. Biases are 0.
    """
    added = width**-0.5 * (2 * layers) ** -0.5
    for block in [each for each in stack.modules() if isinstance(each, PreNormBlock)]:
        spread = {block.output: added, block.end: added, block.dense: (2 * width) ** -0.5}
        spread |= dict.fromkeys((block.query, block.key, block.value), width**-0.5)
        for linear, deviation in spread.items():
            nn.init.normal_(linear.weight, std=deviation)
            nn.init.zeros_(linear.bias)
