"""What became of the names when one state filled another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """What became of two sets of names.

    Attributes:
        loaded: names of the new model that were filled.
        missing: names of the new model that nothing filled: they hold fresh weights.
        unexpected: names of the old state that the new model has no place for.
        repeated: names of the old state that hold what another name holds.
        resized: tables brought to another grid, with both shapes.
        reshaped: names left fresh because the shapes differ, with both shapes.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    repeated: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """A line for each kind of outcome, by module; what was left out or stays fresh is named in full."""
        rows = [f"loaded: {by_module(self.loaded)}"]
        rows += [f"resized: {name}" for name in self.resized]
        rows += [f"missing, fresh weights: {name}" for name in self.missing]
        rows += [f"unexpected, left out: {name}" for name in self.unexpected]
        if self.repeated:
            rows.append(f"repeated, stored once: {by_module(self.repeated)}")
        return rows + [f"reshaped: {name}" for name in self.reshaped]


def by_module(names: Iterable[str]) -> str:
    """How many names each module has, `model.fusion (156), objectives.itm (2)`."""
    counted = Counter(".".join(name.split(".")[:2]) for name in names)
    return ", ".join(f"{module} ({count})" for module, count in counted.items()) or "nothing"
