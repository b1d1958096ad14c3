"""The records of a part of a mixture, turn after turn: in each turn all of them once, in an order of its own."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.blocks import RUN, Blocks
from vlzoo.data.permute import Permutation
from vlzoo.hashing import name_word


class Turn(NamedTuple):
    """The blocks of a turn, in its order: where each begins in the source, and where it ends in the turn."""

    starts: NDArray[np.int64]
    ends: list[int]


class Turns:
    """Which record comes when.

    >>> turns = Turns(3, "0/coco")
    >>> sorted(turns.record(drawn) for drawn in range(3)), sorted(turns.record(drawn) for drawn in range(3, 6))
    ([0, 1, 2], [0, 1, 2])

    Args:
        records: how many the source has.
        seed: of the orders, with the part's name in it.
        blocks: in which the source is read; a turn keeps them whole. None: its order is a permutation.
    """

    def __init__(self, records: int, seed: str, blocks: Blocks | None = None) -> None:
        self.records, self.seed, self.blocks = records, seed, blocks
        self._turn = lru_cache(maxsize=2)(self._made)

    def record(self, drawn: int) -> int:
        """The record that is drawn after `drawn` others."""
        turn, within = divmod(drawn, self.records)
        if self.blocks is None:
            return Permutation(self.records, f"{self.seed}/{turn}")[within]
        order = self._turn(turn)
        block = bisect_right(order.ends, within)
        return int(order.starts[block]) + within - (order.ends[block - 1] if block else 0)

    def ends(self, start: int, stop: int) -> list[int]:
        """Where the blocks of what is drawn from `start` up to `stop` end, counted from `start`; rising to its end."""
        if self.blocks is None:
            return [*range(RUN, stop - start, RUN), stop - start]
        found: list[int] = []
        for turn in range(start // self.records, (stop - 1) // self.records + 1):
            behind = np.asarray(self._turn(turn).ends) + turn * self.records
            found += (behind[(behind > start) & (behind < stop)] - start).tolist()
        return [*found, stop - start]

    def _made(self, turn: int) -> Turn:
        assert self.blocks is not None
        lengths = np.diff(self.blocks.ends, prepend=0)
        order = np.random.default_rng([name_word(self.seed), turn]).permutation(len(lengths))
        return Turn(self.blocks.ends[order] - lengths[order], np.cumsum(lengths[order]).tolist())
