"""Which process this is of those that work together, and whether another is alive. No torch here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Share:
    """A process among others, and its share of what they do together.

    >>> [Share(number, 3).cut(8) for number in range(3)]
    [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]

    Attributes:
        number: the process's, from 0 (its rank).
        of: how many there are (the world's size).
    """

    number: int = 0
    of: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and speaks for all."""
        return self.number == 0

    def cut(self, count: int) -> slice:
        """Its places among `count`; the shares follow each other and differ by one at most."""
        return slice(count * self.number // self.of, count * (self.number + 1) // self.of)

    def size(self, count: int) -> int:
        """How many places its share of `count` has."""
        return len(range(count)[self.cut(count)])


def here() -> Share:
    """This process among those that were started together; alone where nobody says otherwise."""
    world, rank = os.environ.get("WORLD_SIZE", ""), os.environ.get("RANK", "")
    if not (world.isdigit() and rank.isdigit() and "MASTER_ADDR" in os.environ and int(rank) < int(world)):
        return Share()
    return Share(int(rank), int(world))


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs; one that has ended and that nobody has asked how does not.

    >>> is_alive(os.getpid())
    True
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
