"""Texts of a batch in groups of like length, so that short ones are not carried along at the length of the longest.

Lengths are counted on the host, and nothing waits for the device.

Legend: R texts, L text tokens, S texts of a group, K tokens of its longest, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.types import Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import TextEncoder

WORTH = 0.85
"""Two groups are made where they hold less than this share of the tokens: weights are then read twice."""


@dataclass(frozen=True)
class Groups:
    """Texts by length.

    Attributes:
        rows: the texts of each group, [S] int64.
        lengths: tokens of each group's longest.
        back: for each text its place among all groups' texts, one group after the other, [R] int64.
    """

    rows: tuple[Tensor, ...]
    lengths: tuple[int, ...]
    back: Tensor

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return zip(self.rows, self.lengths, strict=True)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """What each group gave, [S, ...], in the order of the texts, [R, ...]."""
        return parts[0] if len(parts) == 1 else torch.cat(list(parts)).index_select(0, self.back)


def lengths_of(mask_RL: Tensor) -> NDArray[np.int64]:
    """Tokens of each text up to its last real one, [R], of a mask on the host."""
    mask = mask_RL.numpy(force=True)
    return np.where(mask.any(1), mask.shape[1] - mask[:, ::-1].argmax(1), 1)


def by_length(length_R: NDArray[np.int64], device: torch.device) -> Groups:
    """The two groups that hold the fewest tokens, padding counted; one group where two are not worth it.

    >>> groups = by_length(np.array([25, 11, 12, 10]), torch.device("cpu"))
    >>> [(rows.tolist(), length) for rows, length in groups]
    [([3, 1, 2], 12), ([0], 25)]
    """
    order_R, most = np.argsort(length_R, kind="stable"), int(length_R.max())
    count_R = np.arange(1, len(length_R) + 1)
    tokens_R = count_R * length_R[order_R] + (len(length_R) - count_R) * most
    cut = int(tokens_R.argmin()) + 1
    if cut == len(length_R) or tokens_R[cut - 1] > WORTH * len(length_R) * most:
        order_R, cut = np.arange(len(length_R)), len(length_R)
    parts = [part for part in (order_R[:cut], order_R[cut:]) if len(part)]
    sent = [torch.from_numpy(each).to(device, non_blocking=True) for each in (*parts, np.argsort(order_R))]
    return Groups(tuple(sent[:-1]), tuple(int(length_R[part].max()) for part in parts), sent[-1])


def encode_by_length(encoder: TextEncoder, ids_RL: Tensor, mask_RL: Tensor, groups: Groups) -> Tokens:
    """Tokens of texts, each group at its own length, x [R, L, D]; zeros stand where a text was cut short."""
    if len(groups.rows) == 1:
        return encoder(ids_RL, mask_RL)
    made = []
    for chosen, length in groups:
        ids, mask = (each[:, :length].index_select(0, chosen) for each in (ids_RL, mask_RL))
        made.append(encoder(ids, mask))
    x_RLD = groups.join([F.pad(tokens.x, (0, 0, 0, ids_RL.shape[1] - tokens.x.shape[1])) for tokens in made])
    return replace(made[0], x=x_RLD, mask=mask_RL, pooled=groups.join([tokens.pooled for tokens in made]))
