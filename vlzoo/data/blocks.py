"""The order of records that are read in blocks: a row group of a parquet file, a run of a tar shard's members.

A map-style source is read in a random permutation. Where a block costs as much as one of its records, an epoch goes
through the blocks in random order and shuffles what lies near: as a shuffle buffer does, but as numbers, before
anything is read. So the order is a function of seed and epoch, a resumed run finds its place from its step, and no
buffer has to be saved.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.errors import DataError
from vlzoo.processes import Share

RUN = 256
"""Records that make a block where each can be read by itself: members of a tar shard, lines of a jsonl."""
LEAST_BLOCKS = 8
"""Blocks that each lane has in an epoch, at the least."""
MOST_BUFFERS = 2
"""Buffers that one block of every lane fills, at the most."""


@dataclass(frozen=True)
class Blocks:
    """Records that lie together in blocks, and how an epoch goes through them.

    An epoch deals the blocks, in random order, to lanes: `worker_lanes` times `process_lanes`. Batch k is filled from
    the lanes of group k modulo `worker_lanes`, an equal part of its rows from each of them. So where the number of data
    workers divides the first, and that of processes the second, every block is read by one of them alone; with other
    numbers a block is read by several, and the batches are the same. What is left over as the first lane ends fills the
    epoch's last batches; they are read by all.

    Where blocks are few or large for so many lanes there are fewer (`lanes`): about an eighth of an epoch is left over
    at the most, and who reads all lanes has blocks of about three buffers' records before it at the most.

    >>> blocks = Blocks(np.array([3, 6, 8]), buffer=4, worker_lanes=1, process_lanes=1)
    >>> order = blocks.order(np.random.default_rng(0), batch=2)
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4, 5, 6, 7]

    Attributes:
        ends: where each block ends, rising, [blocks] int64; the last one is the number of records.
        buffer: how many records are shuffled with each other, in all lanes together; all of them where it is larger.
        worker_lanes: how many data workers of a process can read without sharing blocks.
        process_lanes: how many processes can.
    """

    ends: NDArray[np.int64]
    buffer: int
    worker_lanes: int
    process_lanes: int

    def order(self, rng: np.random.Generator, batch: int) -> NDArray[np.int64]:
        """The records of an epoch, each once, in the order in which batches take them, [records] int64.

        Args:
            rng: of seed and epoch.
            batch: records of a batch, over all processes.
        """
        if not len(self.ends) or self.buffer >= self.ends[-1]:
            return rng.permutation(int(self.ends[-1]) if len(self.ends) else 0)
        groups, slices = self.lanes(batch)
        parts = [Share(number, slices).size(batch) for number in range(slices)] * groups
        lanes = self._lanes(rng, parts)
        rounds = min(len(lane) // part for lane, part in zip(lanes, parts, strict=True))
        grid = np.empty((rounds, groups, batch), np.int64)
        for number, lane in enumerate(lanes):
            group, place = divmod(number, slices)
            own = Share(place, slices).cut(batch)
            # Cut before it is shuffled: what is left over lies in few blocks.
            taken = _shuffled(lane[: rounds * parts[place]], max(1, self.buffer // len(lanes)), rng)
            grid[:, group, own] = taken.reshape(rounds, parts[place])
        rest = np.concatenate([lane[rounds * part :] for lane, part in zip(lanes, parts, strict=True)])
        return np.concatenate([grid.reshape(-1), _shuffled(rest, self.buffer, rng)])

    def lanes(self, batch: int) -> tuple[int, int]:
        """How many lanes there are for data workers, and for processes: divisors of what was asked for.

        >>> few = Blocks(np.arange(100, 4001, 100), buffer=1000, worker_lanes=4, process_lanes=8)
        >>> few.lanes(batch=64)  # 40 blocks make five lanes of eight
        (4, 1)

        Args:
            batch: records of a batch, over all processes.
        """
        longest = int(np.diff(self.ends, prepend=0).max())
        most = min(int(self.ends[-1]) // (LEAST_BLOCKS * longest), MOST_BUFFERS * self.buffer // longest)
        groups = _divisor(self.worker_lanes, most)
        return groups, min(_divisor(self.process_lanes, most // groups), batch)

    def _lanes(self, rng: np.random.Generator, parts: list[int]) -> list[NDArray[np.int64]]:
        """The records of each lane, block by block; lanes are as long as the part of a batch that they fill."""
        held: list[list[NDArray[np.int64]]] = [[] for _ in parts]
        shortest = [(0.0, lane) for lane in range(len(parts))]
        starts = np.concatenate([[0], self.ends[:-1]])
        for block in rng.permutation(len(self.ends)):
            filled, lane = heapq.heappop(shortest)
            records = np.arange(starts[block], self.ends[block])
            held[lane].append(records)
            heapq.heappush(shortest, (filled + len(records) / parts[lane], lane))
        return [np.concatenate([np.empty(0, np.int64), *blocks]) for blocks in held]


def _divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is at most `most`; 1 at the least."""
    return max(each for each in range(1, number + 1) if number % each == 0 and each <= max(1, most))


def _shuffled(records: NDArray[np.int64], window: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Records shuffled within windows that follow each other: the buffer is filled, emptied, and filled again."""
    keys = np.arange(len(records)) // window + rng.random(len(records))
    return records[np.argsort(keys, kind="stable")]


def blocks_of(source: Any, epoch: int = 0) -> Blocks | None:
    """The blocks in which a source is read; None: its records are read one by one, in any order."""
    asked = getattr(source, "blocks", None)
    found: Blocks | None = None if asked is None else asked(epoch)
    return found


def checked(buffer: int, worker_lanes: int, process_lanes: int, where: str) -> None:
    """Refuse numbers that make no order.

    Raises:
        DataError: one of them is below 1.
    """
    for name, value in (("buffer", buffer), ("worker_lanes", worker_lanes), ("process_lanes", process_lanes)):
        if value < 1:
            raise DataError(f"`{name}` is {value}, expected 1 or more", where=where, fix="`buffer: 1` keeps the order")
