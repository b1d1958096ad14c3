"""All rows of an update as one process sees them: what a contrast compares with, and what negatives are drawn from.

Legend: R rows of this process, C rows of all processes, P rows asked for, S rows sent to others, W processes, T terms
of a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.types import Loss, Tokens

T = TypeVar("T", Tensor, Tokens)
Negatives = Literal["global", "local"]
"""Hard negatives are drawn among the rows of all processes, or each process draws among its own."""


class Columns:
    """The columns of a step where one process holds all rows: its own.

    >>> columns = step.columns
    >>> columns.offset, columns.gather(step.text_embed()).shape
    (0, torch.Size([4, 64]))

    Attributes:
        offset: the column of this process's first row.
    """

    offset = 0

    def __init__(self, rows: int) -> None:
        self.rows = rows

    @property
    def count(self) -> int:
        """C: rows of all processes."""
        return self.rows

    @property
    def near(self) -> slice:
        """The columns that hard negatives are drawn from."""
        return slice(0, self.count)

    def own(self, device: torch.device) -> Tensor:
        """The columns of this process's rows, [R] int64."""
        return torch.arange(self.offset, self.offset + self.rows, device=device)

    def gather(self, x_R: Tensor) -> Tensor:
        """A value of every row, by its column, [C, ...]; gradients find their way back."""
        return x_R

    def fetch(self, value: T, columns_P: Tensor) -> T:
        """Rows of a value at columns [P] int64, wherever they are; gradients find their way back."""
        return value[columns_P] if isinstance(value, Tensor) else value.gather(columns_P)

    def weigh(self, loss: Loss) -> Loss:
        """A loss as this process adds it, with its parts: the mean of all processes' is that over all rows."""
        return loss


class GatheredColumns(Columns):
    """The columns of a step whose rows lie in several processes of torch.distributed, not equally many in each.

    Args:
        rows: R of this process.
        device: where values are.
        negatives: where hard negatives are drawn from.
    """

    def __init__(self, rows: int, device: torch.device, negatives: Negatives = "global") -> None:
        super().__init__(rows)
        self.rank, self.negatives = dist.get_rank(), negatives
        counts = [torch.zeros((), dtype=torch.long, device=device) for _ in range(dist.get_world_size())]
        dist.all_gather(counts, torch.tensor(rows, device=device))
        self.counts = [int(count) for count in counts]
        self.offset = sum(self.counts[: self.rank])
        self._routes: list[Route] = []

    @property
    def count(self) -> int:
        """C: rows of all processes."""
        return sum(self.counts)

    @property
    def near(self) -> slice:
        """As `Columns.near`."""
        return slice(0, self.count) if self.negatives == "global" else slice(self.offset, self.offset + self.rows)

    def gather(self, x_R: Tensor) -> Tensor:
        """A value of every row, by its column, [C, ...]; where texts are longer elsewhere, padded with zeros."""
        (shape,) = _largest([x_R])
        parts = cast(Sequence[Tensor], _AllGather.apply(_pad(x_R, shape).contiguous()))
        return torch.cat([part[:count] for part, count in zip(parts, self.counts, strict=True)])

    def fetch(self, value: T, columns_P: Tensor) -> T:
        """Rows of a value at columns [P] int64; every process must ask. Only what is asked for travels."""
        route = self._route(columns_P)
        parts: list[Tensor] = [value] if isinstance(value, Tensor) else [value.x, value.mask, value.pooled]
        # Rows are picked before they are padded: what is not asked for is not copied.
        sent = [_widened(rows[route.asked], size) for rows, size in zip(parts, _largest(parts), strict=True)]
        found = [cast(Tensor, _Exchange.apply(each, route.sent, route.taken))[route.back] for each in sent]
        return found[0] if isinstance(value, Tensor) else replace(value, x=found[0], mask=found[1], pooled=found[2])

    def _route(self, columns_P: Tensor) -> Route:
        """Ask each process for the rows at those of the columns that are its own; for the same columns once."""
        known = next((route for route in self._routes if route.columns is columns_P), None)
        if known is not None:
            return known
        ends_W = torch.tensor(self.counts, device=columns_P.device).cumsum(0)
        owner_P = torch.bucketize(columns_P, ends_W, right=True)
        order_P = owner_P.argsort(stable=True)
        taken_W = torch.bincount(owner_P, minlength=len(self.counts))
        sent_W = torch.empty_like(taken_W)
        dist.all_to_all_single(sent_W, taken_W)
        sent, taken = torch.stack([sent_W, taken_W]).tolist()
        starts_W = ends_W - torch.tensor(self.counts, device=columns_P.device)
        asked_P = (columns_P - starts_W[owner_P])[order_P]
        rows_S = asked_P.new_empty(sum(sent))
        dist.all_to_all_single(rows_S, asked_P, sent, taken)
        self._routes.append(Route(columns_P, rows_S, sent, taken, order_P.argsort()))
        return self._routes[-1]

    def weigh(self, loss: Loss) -> Loss:
        """As `Columns.weigh`: each term by its share of what all processes counted, other parts by the first one's."""
        counts = [self.rows if term.count is None else term.count for term in loss.each]
        own_T = torch.stack([torch.as_tensor(count, device=loss.total.device).float() for count in counts])
        total_T = own_T.clone()
        dist.all_reduce(total_T)
        # Where no process has anything, 0 / 0 would be no number, and every mean is zero.
        share_T = own_T * len(self.counts) / total_T.clamp(min=1)
        total = (torch.stack([term.mean for term in loss.each]) * share_T).sum()
        share_of = {term.name: share for term, share in zip(loss.each, share_T, strict=True)}
        parts = {name: part * share_of.get(name, share_T[0]) for name, part in loss.parts.items()}
        return replace(loss, total=total, parts=parts)


class Route(NamedTuple):
    """Which rows go from process to process.

    Attributes:
        columns: what was asked for.
        asked: this process's rows that are asked of it, by who asks.
        sent: how many each process is sent.
        taken: how many come from each.
        back: of what has come, in the order of processes, the places in the order it was asked for.
    """

    columns: Tensor
    asked: Tensor
    sent: list[int]
    taken: list[int]
    back: Tensor


class _AllGather(torch.autograd.Function):
    """A tensor of each process, of equal shapes; backwards each gets the sum of what all processes read of its own.

    `torch.distributed.nn` has had it, and gives it up for a module that is not public yet.
    """

    @staticmethod
    def forward(_ctx: Any, own: Tensor) -> tuple[Tensor, ...]:
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        return tuple(parts)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> Tensor:
        whole = torch.stack(grads)
        dist.all_reduce(whole)
        return whole[dist.get_rank()]


class _Exchange(torch.autograd.Function):
    """Rows to the processes that asked for them, and theirs to this one; backwards their gradients go the other way."""

    @staticmethod
    def forward(ctx: Any, sent_S: Tensor, sent: list[int], taken: list[int]) -> Tensor:
        ctx.sizes = sent, taken
        taken_P = sent_S.new_empty(sum(taken), *sent_S.shape[1:])
        dist.all_to_all_single(taken_P, sent_S.contiguous(), taken, sent)
        return taken_P

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        sent, taken = ctx.sizes
        back_S = grads[0].new_empty(sum(sent), *grads[0].shape[1:])
        dist.all_to_all_single(back_S, grads[0].contiguous(), sent, taken)
        return back_S, None, None


def _largest(values: Sequence[Tensor]) -> list[list[int]]:
    """Of each value the largest size that each of its dimensions has in any process."""
    sizes = [torch.tensor(each.shape, device=each.device) for each in values]
    most = torch.cat(sizes)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return [shape.tolist() for shape in torch.split(most.cpu(), [len(each) for each in sizes])]


def _widened(x_R: Tensor, size: Sequence[int]) -> Tensor:
    """Rows padded to a size in all dimensions but the first."""
    return _pad(x_R, [len(x_R), *size[1:]]).contiguous()


def _pad(x: Tensor, shape: Sequence[int]) -> Tensor:
    """`x` with zeros (False) at the end of every dimension that is shorter than `shape` says."""
    room = [(0, wide - has) for has, wide in zip(x.shape, shape, strict=True)]
    return F.pad(x, [size for pair in reversed(room) for size in pair]) if any(wide for _, wide in room) else x


def columns_of(rows: int, device: torch.device, negatives: Negatives = "global") -> Columns:
    """The columns of a step with so many rows here: of all processes where there are several."""
    several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return GatheredColumns(rows, device, negatives) if several else Columns(rows)
