"""Figures of one task: shares and means in percent, with their intervals.

Legend: N samples.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vlzoo.metrics.intervals import cluster_codes, interval
from vlzoo.types import Score


@dataclass(frozen=True)
class Scored:
    """The figures of one task.

    Attributes:
        scores: the figures; the first is the task's main one.
        missing: how many samples had no prediction and count as wrong.
        notes: what a reader must know beside the numbers: ties, the label set, sizes.
        settings: how predictions were made, as far as it stands beside the numbers: `k`, `mode`.
    """

    scores: tuple[Score, ...]
    missing: int = 0
    notes: tuple[str, ...] = field(default=())
    settings: Mapping[str, Any] = field(default_factory=dict)

    def on(self, data: str) -> Scored:
        """The same figures with the data that they were measured on: name and fingerprint."""
        return replace(self, scores=tuple(replace(score, data=data) for score in self.scores))


@dataclass(frozen=True)
class Figures:
    """Makes the figures of one task, so that each needs only its own numbers.

    >>> Figures("vqa", "vqa/official").mean("accuracy", [100.0, 50.0]).value
    75.0

    Attributes:
        task: task name.
        protocol: protocol, with the task's name before it.
    """

    task: str
    protocol: str

    def hits(
        self,
        metric: str,
        right: ArrayLike,
        clusters: Sequence[Hashable] | None = None,
        *,
        protocol: str | None = None,
        detail: Mapping[str, float] | None = None,
        value: float | None = None,
    ) -> Score:
        """A share of right samples, in percent; `detail` also gets it as a fraction and as counts.

        `value` is the same share where the official code rounds it in another order.
        """
        right_N = np.asarray(right, dtype=bool)
        correct, of = int(right_N.sum()), len(right_N)
        more = {"fraction": correct / of, "correct": correct, "of": of, **(detail or {})}
        percent = 100.0 * (correct / of) if value is None else value
        return self._score(metric, percent, 100.0 * right_N, clusters, protocol, more)

    def mean(
        self,
        metric: str,
        values: ArrayLike,
        clusters: Sequence[Hashable] | None = None,
        *,
        detail: Mapping[str, float] | None = None,
    ) -> Score:
        """The mean of values in percent, [n]."""
        values_N = np.asarray(values, dtype=np.float64)
        return self._score(metric, float(values_N.sum()) / len(values_N), values_N, clusters, None, detail or {})

    def derived(self, metric: str, value: float, samples: int, unit: str = "%") -> Score:
        """A figure made of other figures, without an interval of its own."""
        return Score(self.task, self.protocol, metric, value, None, samples, 0, "", unit=unit)

    def _score(
        self,
        metric: str,
        value: float,
        values_N: np.ndarray,
        clusters: Sequence[Hashable] | None,
        protocol: str | None,
        detail: Mapping[str, float],
    ) -> Score:
        codes = cluster_codes(clusters) if clusters is not None else np.arange(len(values_N))
        ends = interval(values_N, codes)
        groups = len(np.unique(codes))
        return Score(self.task, protocol or self.protocol, metric, value, ends, len(values_N), groups, "", dict(detail))
