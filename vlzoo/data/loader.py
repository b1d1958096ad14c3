"""Endless batches in an order that depends on the seed alone, from any step on."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from vlzoo.batch import Batch
from vlzoo.data.blocks import Blocks
from vlzoo.data.collate import Collator, Reader
from vlzoo.errors import TrainingError, VlzooError
from vlzoo.processes import Share
from vlzoo.signals import held_back, ignore_stops


class Place(NamedTuple):
    """Where a sample stands: how often its source was gone through before, its number, and the number of its batch."""

    epoch: int
    sample: int
    batch: int


ALONE = Share()


@dataclass(frozen=True)
class Order:
    """Which samples each batch holds: every epoch a new order of all of them, its incomplete last batch left out.

    Attributes:
        samples: size of the data.
        batch: rows of a batch.
        seed: the run's seed.
        start: the first batch's number; a resumed run starts where it stopped.
        share: this process among those that cut every batch; however many there are, the batches are the same.
        blocks: of an epoch, the blocks in which its samples are read; None: they are read in any order.
    """

    samples: int
    batch: int
    seed: int
    start: int = 0
    share: Share = ALONE
    blocks: Callable[[int], Blocks | None] | None = None

    def __post_init__(self) -> None:
        if self.samples < self.batch:
            raise TrainingError(
                f"a batch of {self.batch} is larger than the data: {self.samples} samples",
                fix=f"set train.batch to {max(self.samples, 1)} or less",
            )
        if self.batch < self.share.of:
            what = f"a batch of {self.batch} can't be cut for {self.share.of} processes"
            raise TrainingError(what, fix="set train.batch (or the stream's) to their number or more, or start fewer")

    @property
    def per_epoch(self) -> int:
        """Batches of one epoch."""
        return self.samples // self.batch

    def __iter__(self) -> Iterator[list[Place]]:
        (epoch, place), own = divmod(self.start, self.per_epoch), self.share.cut(self.batch)
        while True:
            order = self._order(epoch)
            for k in range(place, self.per_epoch):
                number = epoch * self.per_epoch + k
                batch = order[k * self.batch : (k + 1) * self.batch]
                yield [Place(epoch, int(index), number) for index in batch[own]]
            epoch, place = epoch + 1, 0

    def _order(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self.seed, epoch])
        blocks = self.blocks(epoch) if self.blocks is not None else None
        return rng.permutation(self.samples) if blocks is None else blocks.order(rng, self.batch)


@dataclass(frozen=True)
class Caught:
    """A user's mistake met in a data worker. torch would hand on an exception with the worker's traceback in it.

    Attributes:
        kind: the error's class.
        what: as the error says it.
        where: likewise.
        fix: likewise.
    """

    kind: type[VlzooError]
    what: str
    where: str | None
    fix: str | None

    @classmethod
    def of(cls, error: VlzooError) -> Caught:
        """What a worker sends in place of `error`."""
        return cls(type(error), error.what, error.where, error.fix)


class Numbered(NamedTuple):
    """An item with the number of its batch."""

    batch: int
    item: Any


@dataclass(frozen=True)
class CatchingReader:
    """A reader that gives items their batch's number, and a `Caught` where the reading fails.

    Attributes:
        reader: makes the items.
    """

    reader: Reader

    def __getitems__(self, places: Sequence[Place]) -> list[Numbered | Caught]:
        """The items of a batch, whose pictures are read at once where that is quicker: torch asks for these."""
        self.reader.read_ahead([(place.epoch, place.sample) for place in places])
        return [self[place] for place in places]

    def __getitem__(self, place: Place) -> Numbered | Caught:
        try:
            return Numbered(place.batch, self.reader[place.epoch, place.sample])
        except VlzooError as error:
            return Caught.of(error)

    def __len__(self) -> int:
        return len(self.reader)


@dataclass(frozen=True)
class CatchingCollator:
    """A collator that hands the first `Caught` on.

    Attributes:
        collator: makes the batches.
    """

    collator: Collator

    def __call__(self, items: Sequence[Numbered | Caught]) -> Batch | Caught:
        """The batch, or what went wrong."""
        whole = [each for each in items if isinstance(each, Numbered)]
        caught = [each for each in items if isinstance(each, Caught)]
        try:
            return caught[0] if caught else self.collator([each.item for each in whole], whole[0].batch)
        except VlzooError as error:
            return Caught.of(error)


def endless(reader: Reader, collator: Collator, order: Order, *, workers: int = 0) -> Generator[Batch, None, None]:
    """Batches without end, decoded by `workers` processes ahead of time; 0: in this process.

    The workers ignore what asks a process to end, as a signal to the whole group does: this process decides. They end
    when the generator is closed, and when this process ends, however it does.

    Raises:
        VlzooError: a sample can't be read or does not fit.
    """
    until, held = Pipe(duplex=False)
    loader: DataLoader[Batch | Caught] = DataLoader(
        CatchingReader(reader),  # type: ignore[arg-type]
        batch_sampler=order,
        collate_fn=CatchingCollator(collator),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=partial(_begin, until, held) if workers else None,
    )
    # A program may end without closing the generator, and Python then waits for the workers.
    atexit.register(held.close)
    try:
        with held_back():
            batches = iter(loader)
        for made in batches:
            if isinstance(made, Caught):
                raise made.kind(made.what, where=made.where, fix=made.fix)
            yield made
    finally:
        held.close()
        until.close()
        atexit.unregister(held.close)


def _begin(until: Connection, held: Connection, _worker: int) -> None:
    """Make a data worker deaf to requests to end, and end it when nobody holds the other end of the pipe any more."""
    ignore_stops()
    held.close()
    Thread(target=_end, args=(until,), daemon=True).start()


def _end(until: Connection) -> None:
    try:
        until.recv()  # nothing is ever sent
    except EOFError:
        os._exit(0)
