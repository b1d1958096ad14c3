"""One of two streams that read each other: METER's and LXMERT's layers of co-attention.

Each part of a layer is called by itself, so that what needs no words can be made of a picture once, and is compiled
and sharded as other layers are.

Legend: P rows, L tokens of this side, Q queried ones, N tokens of the other side, M pictures, D width, H heads, d head
width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Prepared
from vlzoo.models.attention import picture_of, split_heads
from vlzoo.models.blocks import CrossAttention, FeedForward, Reading, SelfAttention, take_positions

Made = TypeVar("Made", bound=nn.Module)


class Attending(nn.Module):
    """Attention of a side to itself, and the feed-forward where it comes last.

    Args:
        attention: to itself.
        feed_forward: after it; None: it comes elsewhere.
    """

    def __init__(self, attention: SelfAttention, feed_forward: FeedForward | None) -> None:
        super().__init__()
        self.attention, self.feed_forward = attention, feed_forward

    def forward(self, x_PLD: Tensor, allowed: Tensor, positions_PQ: Tensor | None = None) -> Tensor:
        """States [P, L, D]; of the positions [P, Q] alone where they are given, [P, Q, D]."""
        queried = x_PLD if positions_PQ is None else take_positions(x_PLD, positions_PQ)
        state = self.attention(queried, self.attention.project(x_PLD), allowed)
        return state if self.feed_forward is None else cast(Tensor, self.feed_forward(state))


class Crossing(nn.Module):
    """Attention of a side to the other, where there is one, and the feed-forward where it comes last.

    Args:
        cross: to the other side.
        feed_forward: after it; None: it comes elsewhere.
    """

    def __init__(self, cross: CrossAttention, feed_forward: FeedForward | None) -> None:
        super().__init__()
        self.cross, self.feed_forward = cross, feed_forward

    def forward(self, x_PQD: Tensor, reading: Reading | None) -> tuple[Tensor, Tensor | None]:
        """States [P, Q, D], and the map [P, H, Q, N] where `reading` asks for it."""
        state, seen = x_PQD, None
        if reading is not None:
            state, seen = self.cross(x_PQD, reading.keys, reading.allowed, keep_map=reading.keep_map)
        return (state if self.feed_forward is None else self.feed_forward(state)), seen


class Stream(nn.Module):
    """A side's layers.

    Args:
        layers: how many.
        width: D.
        heads: H; divides D.
        intermediate: width of the feed-forward's hidden layer.
        dropout: chance of dropping.
        reads_first: whether a layer reads the other side before it attends to its own, as LXMERT's do.
    """

    def __init__(
        self, layers: int, width: int, heads: int, intermediate: int, dropout: float, *, reads_first: bool
    ) -> None:
        super().__init__()
        self.reads_first, self.heads = reads_first, heads

        def end(comes: bool) -> FeedForward | None:
            return FeedForward(width, intermediate, dropout) if comes else None

        own = (Attending(SelfAttention(width, heads, dropout), end(reads_first)) for _ in range(layers))
        across = (Crossing(CrossAttention(width, heads, dropout), end(not reads_first)) for _ in range(layers))
        self.attending, self.crossing = _stack(own), _stack(across)
        # What the other side reads of the states before a layer.
        self.key, self.value = (nn.ModuleList(nn.Linear(width, width) for _ in range(layers)) for _ in range(2))

    def read_as(self, other: Stream) -> None:
        """Read the other side by the weights that it reads this one by."""
        self.key, self.value = other.key, other.value
        for mine, theirs in zip(self.crossing, other.crossing, strict=True):
            mine.cross = theirs.cross

    def show(self, layer: int, x_PLD: Tensor) -> tuple[Tensor, Tensor]:
        """What the other side reads of the states before a layer: keys and values, [P, H, L, d] each."""
        key, value = self.key[layer](x_PLD), self.value[layer](x_PLD)
        return split_heads(key, self.heads), split_heads(value, self.heads)

    def forward(
        self,
        layer: int,
        x_PLD: Tensor,
        allowed: Tensor,
        reading: Reading | None,
        *,
        positions_PQ: Tensor | None = None,
        attended_PLD: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The states after a layer, [P, L, D], and the map [P, H, L, N] where `reading` asks for it.

        Args:
            layer: which, from 0.
            x_PLD: states before it.
            allowed: which tokens of its own side each may read, bool, to [P, 1, Q, L].
            reading: the other side; None: it reads none.
            positions_PQ: give these positions only, int64: Q for L.
            attended_PLD: what `attending` of this layer has made of all positions already.
        """
        if self.reads_first:
            state_PLD, seen = self.crossing[layer](x_PLD, reading)
            return self.attending[layer](state_PLD, allowed, positions_PQ), seen
        if attended_PLD is None:
            attended_PLD = self.attending[layer](x_PLD, allowed, positions_PQ)
        elif positions_PQ is not None:
            attended_PLD = take_positions(attended_PLD, positions_PQ)
        return cast(tuple[Tensor, Tensor | None], self.crossing[layer](attended_PLD, reading))


def _stack(made: Iterable[Made]) -> Sequence[Made]:
    return cast(Sequence[Made], nn.ModuleList(made))


@dataclass(frozen=True)
class Seen:
    """What depends on a picture alone.

    Attributes:
        x: its states before the first layer, [M, N, D].
        mask: True where a token is real, [M, N] bool.
        keys, values: what words read of it in the first layer, [M, H, N, d] each.
        attended: its states once it has attended to itself in the first layer, [M, N, D]; None where it reads first.
    """

    x: Tensor
    mask: Tensor
    keys: Tensor
    values: Tensor
    attended: Tensor | None

    def gather(self, rows: Tensor) -> Seen:
        """The image rows `rows` [P] int64."""
        attended = None if self.attended is None else self.attended[rows]
        return Seen(self.x[rows], self.mask[rows], self.keys[rows], self.values[rows], attended)


def in_a_row(each: Sequence[Seen]) -> Seen:
    """Several pictures of each text as one sequence."""
    if len(each) == 1:
        return each[0]
    x, mask = (torch.cat([getattr(one, name) for one in each], dim=1) for name in ("x", "mask"))
    keys, values = (torch.cat([getattr(one, name) for one in each], dim=2) for name in ("keys", "values"))
    attended = [one.attended for one in each if one.attended is not None]
    return Seen(x, mask, keys, values, torch.cat(attended, dim=1) if attended else None)


def picked(image: Prepared, texts: int | None, rows: Tensor | None) -> Seen:
    """A picture as each of so many texts reads it; None: it is read by none.

    Raises:
        VlzooError: it was prepared by a fusion of another sort.
    """
    if not isinstance(image, Seen):
        raise VlzooError(
            f"a fusion by co-attention reads what it has prepared, and was given {type(image).__name__}",
            where="fusion co_attention",
            fix="prepare the picture with the fusion that reads it",
        )
    at = picture_of(texts, image.mask, rows)
    return image if at is None else image.gather(at)
