"""A seeded permutation of 0..n-1 that is computed entry by entry: no table, however large n is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

ROUNDS = 4
"""Of the Feistel network; three make a pseudo-random permutation (Luby and Rackoff 1988), four a strong one."""


@dataclass(frozen=True)
class Permutation:
    """The permutation of `range(size)` that a seed stands for.

    A balanced Feistel network permutes the next power of four; a value that falls outside `size` is sent through again
    until it falls inside, which keeps it a permutation (Black and Rogaway 2002, cycle walking).

    Attributes:
        size: how many entries.
        seed: any text or number.
    """

    size: int
    seed: str | int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a permutation of {self.size} entries")

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        """Where entry `index` goes; `IndexError` outside `range(size)`."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        bits = max(1, ((self.size - 1).bit_length() + 1) // 2)
        value = self._network(index, bits)
        while value >= self.size:
            value = self._network(value, bits)
        return value

    def _network(self, value: int, bits: int) -> int:
        mask = (1 << bits) - 1
        left, right = value >> bits, value & mask
        for turn in range(ROUNDS):
            left, right = right, left ^ (self._mixed(turn, right) & mask)
        return left << bits | right

    def _mixed(self, turn: int, value: int) -> int:
        key = f"{self.seed}/{turn}/{value}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
