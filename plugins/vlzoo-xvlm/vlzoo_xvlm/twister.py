"""Python's `random` in place of a numpy generator, so that parts draw what official code drew, in the same order."""

from __future__ import annotations

import random
from collections.abc import MutableSequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np


@dataclass(frozen=True)
class Official:
    """Python's `random` under the names of a numpy generator's methods.

    Attributes:
        twister: what draws.
    """

    twister: random.Random

    def random(self) -> float:
        """A number in [0, 1)."""
        return self.twister.random()

    def integers(self, low: int, high: int | None = None) -> int:
        """A whole number from `low`, below `high`; of one argument, from 0 and below it."""
        return self.twister.randrange(low) if high is None else self.twister.randrange(low, high)

    def shuffle(self, values: MutableSequence[Any]) -> None:
        """Bring a list into another order."""
        self.twister.shuffle(values)

    def permutation(self, count: int) -> list[int]:
        """The numbers below `count` in random order."""
        return self.twister.sample(range(count), count)

    def choice(self, count: int, size: int, *, replace: bool) -> list[int]:
        """`size` of the numbers below `count`."""
        assert not replace  # the official code puts nothing back
        return self.twister.sample(range(count), size)


def official(seed: int) -> np.random.Generator:
    """A generator that draws as the official code does after `random.seed(seed)`."""
    return cast(np.random.Generator, Official(random.Random(seed)))
