"""Corrupt pictures met in training: listed in a file, replaced by the next record, a stop above a stated share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from vlzoo.errors import DataError

T = TypeVar("T")


@dataclass
class Tolerance:
    """Passes over records that can't be read, in one data worker.

    The records are shared out among the workers at random, so each may meet its part of what is allowed.

    Attributes:
        size: how many records the data holds.
        allowed: the share of them that may be unreadable.
        workers: how many workers read; 0 counts as 1.
        listing: a file that takes one json line `{kind, where, value}` for each; sources take it as `skip`.
        met: the records met so far that can't be read, with the reason; each is counted once.
    """

    size: int
    allowed: float = 0.01
    workers: int = 1
    listing: str | None = None
    met: dict[int, str] = field(default_factory=dict)

    def take(self, index: int, make: Callable[[int], T]) -> T:
        """What `make(index)` gives, or that of the next record that can be read.

        Args:
            index: the record that was asked for.
            make: reads and decodes one record.

        Raises:
            DataError: more records than allowed can't be read, or none can.
        """
        for step in range(self.size):
            place = (index + step) % self.size
            if place in self.met:
                continue
            try:
                return make(place)
            except DataError as error:
                self._note(place, error)
        raise DataError(f"none of the {self.size:,} records can be read", where=self.listing)

    def _note(self, place: int, error: DataError) -> None:
        self.met[place] = str(error)
        if self.listing:
            line = json.dumps({"kind": "unreadable picture", "where": error.where or "", "value": error.what})
            # One short write at the end of the file: lines of several workers do not mix.
            with Path(self.listing).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        if len(self.met) > self.allowed * self.size / max(1, self.workers):
            share = f"{len(self.met):,} of {self.size:,} records can't be read in one of {max(1, self.workers)} workers"
            raise DataError(
                f"{share}, and {self.allowed:.1%} in all may be; the last: {error.what}",
                where=error.where,
                fix="mend the data, leave the listed pictures out (`skip`), or raise `allowed_faults`",
            ) from error
