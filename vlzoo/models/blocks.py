"""Transformer blocks in BERT's order (norm after the sum), shared by the fusions and the decoder.

Devlin et al. 2019; cross-attention between self-attention and feed-forward as in ALBEF (Li et al. 2021).
Legend: P rows, L text positions, Q queried positions, M image rows, N image tokens, D width, H heads, d head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.models.attention import attend, attend_to_both, attend_with_map, join_heads, split_heads
from vlzoo.models.gelu_linear import gelu_linear

EPSILON = 1e-12
"""Of every LayerNorm, as BERT's."""


def init_bert(module: nn.Module, std: float = 0.02) -> None:
    """Weights from N(0, std^2), biases 0, norms 1: to be used with `nn.Module.apply`.

    A block adds what it read, through two matrices, to what came in: by BERT's 0.02 that is 0.3 of it at a width of
    768, and 0.04 at 96, where a picture is all but unseen at first. 1 / sqrt(width) gives 1 at every width.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class Residual(nn.Module):
    """Dense, dropout, sum with what came in, LayerNorm: how each half of a BERT block ends.

    Args:
        inner: width of what is added.
        width: D.
        dropout: chance of dropping a number.

    Raises:
        VlzooError: that is no chance.
    """

    def __init__(self, inner: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        if not 0 <= dropout <= 1:
            raise VlzooError(f"dropout can't be {dropout!r}", fix="give a chance from 0 to 1")
        self.dropout = dropout

    def forward(self, inner: Tensor, x: Tensor) -> Tensor:
        """norm(x + dropout(dense(inner))), of x's shape."""
        return self.end(self.dense(inner), x)

    def end(self, added: Tensor, x: Tensor) -> Tensor:
        """norm(x + dropout(added)), of x's shape."""
        return self.norm(x + F.dropout(added, self.dropout, self.training))


class SelfAttention(nn.Module):
    """Attention of a sequence to itself.

    Args:
        width: D.
        heads: H.
        dropout: of attention entries and of the output.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = Residual(width, width, dropout)

    def project(self, x_PLD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, [P, H, L, d] each."""
        return split_heads(self.key(x_PLD), self.heads), split_heads(self.value(x_PLD), self.heads)

    def forward(
        self, x_PQD: Tensor, keys: tuple[Tensor, Tensor], allowed: Tensor, beside: Reading | None = None
    ) -> Tensor:
        """States [P, Q, D] that have read `keys` (from `project`) where `allowed` (bool, to [P, 1, Q, L]).

        With `beside`, they have read its tokens in the same softmax.
        """
        query, dropout = split_heads(self.query(x_PQD), self.heads), self.dropout if self.training else 0.0
        if beside is None:
            read = attend(query, *keys, allowed, dropout=dropout)
        else:
            read = attend_to_both(query, keys, allowed, beside.keys, beside.allowed, dropout=dropout)
        return self.output(join_heads(read), x_PQD)


class CrossAttention(nn.Module):
    """Attention of text to prepared keys and values, which the layer above projects once for all its readers.

    Args:
        width: D.
        heads: H.
        dropout: of attention entries and of the output.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.output = Residual(width, width, dropout)

    def forward(
        self, x_PQD: Tensor, keys: tuple[Tensor, Tensor], allowed: Tensor, *, keep_map: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """States [P, Q, D] and, where `keep_map`, the map [P, H, Q, N] before dropout."""
        query = split_heads(self.query(x_PQD), self.heads)
        dropout = self.dropout if self.training else 0.0
        if keep_map:
            read, seen = attend_with_map(query, *keys, allowed, dropout=dropout)
        else:
            read, seen = attend(query, *keys, allowed, dropout=dropout), None
        return self.output(join_heads(read), x_PQD), seen


class FeedForward(nn.Module):
    """Dense, GELU (erf), dense.

    Args:
        width: D.
        intermediate: width of the hidden layer.
        dropout: of the output.
    """

    def __init__(self, width: int, intermediate: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, intermediate)
        self.output = Residual(intermediate, width, dropout)

    def forward(self, x_PQD: Tensor) -> Tensor:
        """[P, Q, D] to [P, Q, D]."""
        dense = self.output.dense
        return self.output.end(gelu_linear(self.dense(x_PQD), dense.weight, dense.bias), x_PQD)


@dataclass(frozen=True)
class Reading:
    """What a block reads beside its own sequence.

    Attributes:
        keys: keys and values of the picture or memory, [M, H, N, d] each.
        allowed: True at its real tokens, [M, 1, 1, N] bool.
        keep_map: whether to give the attention map back.
    """

    keys: tuple[Tensor, Tensor]
    allowed: Tensor
    keep_map: bool = False


class Block(nn.Module):
    """Self-attention, cross-attention (unless `cross` is False), feed-forward.

    Args:
        width: D.
        heads: H; divides D.
        intermediate: width of the feed-forward's hidden layer.
        dropout: chance of dropping.
        cross: whether it reads a picture or memory.
    """

    entered_by = ("project",)

    def __init__(self, width: int, heads: int, intermediate: int, dropout: float, *, cross: bool) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, dropout)
        self.cross = CrossAttention(width, heads, dropout) if cross else None
        self.feed_forward = FeedForward(width, intermediate, dropout)

    def project(self, x_PLD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of states, [P, H, L, d] each."""
        return self.attention.project(x_PLD)

    def forward(
        self,
        x_PLD: Tensor,
        allowed: Tensor,
        reading: Reading | None = None,
        *,
        positions_PQ: Tensor | None = None,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The states after this block and the attention map if `reading` asks for it.

        Args:
            x_PLD: states of the whole sequence.
            allowed: which positions may be read, bool, broadcastable to [P, 1, Q, L].
            reading: the picture or memory; needed by blocks with cross-attention. A block without one reads it beside
                its own sequence.
            positions_PQ: compute these positions only, int64; None: all of them.
            past: keys and values to use instead of projecting `x_PLD` (from `project`, earlier positions included):
                decoding step by step.
        """
        keys = self.attention.project(x_PLD) if past is None else past
        queried = x_PLD if positions_PQ is None else take_positions(x_PLD, positions_PQ)
        state, seen = self.attention(queried, keys, allowed, reading if self.cross is None else None), None
        if self.cross is not None and reading is not None:
            state, seen = self.cross(state, reading.keys, reading.allowed, keep_map=reading.keep_map)
        return self.feed_forward(state), seen


def take_positions(x_PLD: Tensor, positions_PK: Tensor) -> Tensor:
    """The states at `positions_PK` [P, K] int64 (negative: position 0), [P, K, D]."""
    index = positions_PK.clamp(min=0)[..., None].expand(-1, -1, x_PLD.shape[-1])
    return x_PLD.gather(1, index)


class Layer(nn.Module):
    """One fusion layer: key and value projections of the picture, shared by one block for each picture.

    The pair of NLVR2 shares the projections and nothing else (ALBEF `models/model_nlvr.py`).

    Args:
        width: D.
        heads: H.
        intermediate: width of the feed-forward's hidden layer.
        dropout: chance of dropping.
        source: width of the tokens read.
        blocks: how many pictures are read, one after the other.
    """

    def __init__(
        self, width: int, heads: int, intermediate: int, dropout: float, *, source: int, blocks: int = 1
    ) -> None:
        super().__init__()
        self.heads = heads
        self.key, self.value = nn.Linear(source, width), nn.Linear(source, width)
        made = (Block(width, heads, intermediate, dropout, cross=True) for _ in range(blocks))
        self.blocks = cast("Sequence[Block]", nn.ModuleList(made))

    def prepare(self, source_MNS: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the tokens read, [M, H, N, d] each."""
        return split_heads(self.key(source_MNS), self.heads), split_heads(self.value(source_MNS), self.heads)

    def biases(self) -> tuple[Tensor, Tensor]:
        """Biases of the key and value projections, [H, d] each."""
        return self.key.bias.unflatten(0, (self.heads, -1)), self.value.bias.unflatten(0, (self.heads, -1))
