"""Losses that jump far above what they were, noted without making the host wait for the device at every step."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

WINDOW = 100
"""Logged values that a mean is over."""
LEAST = 20
"""Logged values before which nothing is judged."""
FLAT = 0.01
"""A deviation counts as at least this share of the mean: a loss that hardly moves has no spikes."""


@dataclass
class Spikes:
    """Finds the steps at which a loss stood far above its running mean.

    The rule: the value of any step is a spike where it is more than `times` deviations above the mean, both over the
    last 100 values of this loss that were logged before it; the first 20 judge nothing. A spike that is logged enters
    the mean as the bound that it passed: one does not hide the next, and a loss that stays higher soon is no spike.
    So all that is remembered stands in the metrics, and a run that goes on finds what an uninterrupted one would.

    >>> spikes = Spikes(times=6.0)
    >>> spikes.recall({"step": step, "itm": 0.5 + 0.1 * (step % 2)} for step in range(1, 41))
    >>> spikes.note(41, {"itm": torch.tensor(9.0)}, ["picture-3", "picture-8"])
    >>> [(row["step"], row["value"], row["expected"]) for row in spikes.look()]
    [(41, 9.0, 0.55)]

    Attributes:
        times: deviations above the mean that are a spike; None: none is looked for.
    """

    times: float | None
    _noted: list[tuple[int, str, Tensor, Sequence[str]]] = field(default_factory=list)
    _logged: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=WINDOW)))

    def note(self, step: int, losses: Mapping[str, Tensor], samples: Sequence[str]) -> None:
        """Take in an update's losses; nothing waits for them.

        Args:
            step: the step's number, as in the metrics.
            losses: by the names they are logged under, [] each.
            samples: the names of the update's samples.
        """
        if self.times is not None:
            self._noted += [(step, name, loss.detach().clone(), samples) for name, loss in losses.items()]

    def look(
        self,
        mean: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = lambda values: values,
        join: Callable[[Any], list[Any]] = lambda value: [value],
    ) -> list[dict[str, Any]]:
        """The spikes among the updates noted since the last look, as rows; waits for the device.

        Args:
            mean: of values over all processes (`Engine.mean`), each of which calls this.
            join: what all processes give (`Engine.join`). Each calls it as often, whatever it takes for a spike: one
                may have read less of the log than another.
        """
        noted, self._noted = self._noted, []
        if not noted:
            return []
        means = mean({str(number): each[2].float() for number, each in enumerate(noted)})
        values = torch.stack(list(means.values())).tolist()
        mine = [n for n, value in enumerate(values) if self._expected(noted[n][1])[2] < value < math.inf]
        spikes = sorted(set().union(*join(mine)))  # what is not finite ends the run
        samples = join({n: list(noted[n][3]) for n in spikes}) if spikes else []
        found = []
        for n in mine:
            (step, name, *_), (center, deviation, _) = noted[n], self._expected(noted[n][1])
            about = {"value": values[n], "expected": center, "deviation": deviation}
            about["samples"] = [sample for each in samples for sample in each[n]]
            found.append({"step": step, "objective": name, **about})
        return found

    def enter(self, values: Mapping[str, float]) -> None:
        """Take in values that were logged."""
        for name, value in values.items() if self.times is not None else ():
            self._logged[name].append(min(value, self._expected(name)[2]))

    def recall(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in what was logged before: rows of the metrics, in their order."""
        for row in rows:
            self.enter({name: value for name, value in row.items() if isinstance(value, int | float)})

    def _expected(self, name: str) -> tuple[float, float, float]:
        """A loss's mean and deviation, and what would be a spike."""
        values = self._logged[name]
        if self.times is None or len(values) < LEAST:
            return 0.0, 0.0, math.inf
        center = math.fsum(values) / len(values)
        spread = math.sqrt(math.fsum((value - center) ** 2 for value in values) / len(values))
        deviation = max(spread, FLAT * abs(center))
        return center, deviation, center + self.times * deviation
