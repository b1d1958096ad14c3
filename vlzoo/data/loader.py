"""Endless batches in an order that depends on the seed alone, from any step on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import DataLoader

from vlzoo.data.collate import Collator, Reader
from vlzoo.errors import TrainingError
from vlzoo.types import Batch


@dataclass(frozen=True)
class Order:
    """Which samples each batch holds: every epoch a new permutation, its incomplete last batch left out.

    Attributes:
        samples: size of the data.
        batch: rows of a batch.
        seed: the run's seed.
        start: the first batch's number; a resumed run starts where it stopped.
    """

    samples: int
    batch: int
    seed: int
    start: int = 0

    def __post_init__(self) -> None:
        if self.samples < self.batch:
            raise TrainingError(
                f"a batch of {self.batch} is larger than the data: {self.samples} samples",
                fix=f"set train.batch to {max(self.samples, 1)} or less",
            )

    @property
    def per_epoch(self) -> int:
        """Batches of one epoch."""
        return self.samples // self.batch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, place = divmod(self.start, self.per_epoch)
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.samples)
            for k in range(place, self.per_epoch):
                yield [(epoch, int(index)) for index in order[k * self.batch : (k + 1) * self.batch]]
            epoch, place = epoch + 1, 0


def endless(reader: Reader, collator: Collator, order: Order, *, workers: int = 0) -> Iterator[Batch]:
    """Batches without end, decoded by `workers` processes ahead of time; 0: in this process."""
    loader: DataLoader[Batch] = DataLoader(
        reader,  # type: ignore[arg-type]
        batch_sampler=order,  # type: ignore[arg-type]
        collate_fn=collator,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
    )
    yield from loader
