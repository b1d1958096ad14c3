"""Figures of one task: shares and means in percent, with their intervals and the values that they are means of.

Legend: N samples, K counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlzoo.metrics.intervals import cluster_codes, interval
from vlzoo.metrics.pooled import FORMULAS, pooled_interval

COUNTS = ("fraction", "correct", "of")
"""What a share's `detail` says of all samples."""


MEAN = "mean"
"""The formula of a figure that is the mean of its samples' values."""


@dataclass(frozen=True)
class PerSample:
    """What a figure is made of; what two models are compared by, sample by sample.

    Attributes:
        values: one number a sample, in the figure's unit, [N]; with a formula of sums a row of counts, [N, K].
        clusters: number of the cluster that each sample stands in (its picture, its sentence), [N].
        formula: the figure is the `mean` of the values, or what `vlzoo.metrics.pooled.FORMULAS` makes of their sums.
    """

    values: NDArray[np.float64]
    clusters: NDArray[np.int64]
    formula: str = MEAN

    def figure(self) -> float:
        """What the values make, in the figure's unit."""
        return float(self.values.mean() if self.formula == MEAN else FORMULAS[self.formula](self.values.sum(0)))


@dataclass(frozen=True)
class Score:
    """A measured figure with everything needed to read it.

    Attributes:
        task: task name, `vqa`.
        protocol: how it was measured, `vqa/official`.
        metric: what was measured, `accuracy`.
        value: the mean over samples, or what a formula makes of their sums; in percent unless `unit` says otherwise.
        interval: 95 % interval in the same unit; None where the sample cannot give one.
        samples: how many samples were scored.
        clusters: how many independent clusters the interval was drawn over.
        data: the data source, its split and fingerprint.
        detail: further figures (per answer type, subset), name -> value.
        unit: unit of `value`.
        per_sample: what it is made of; of several, it is the mean of what they make, and their clusters are the same
            ones; empty: it is not made of samples.
    """

    task: str
    protocol: str
    metric: str
    value: float
    interval: tuple[float, float] | None
    samples: int
    clusters: int
    data: str
    detail: Mapping[str, float] = field(default_factory=dict)
    unit: str = "%"
    per_sample: tuple[PerSample, ...] = field(default=(), repr=False, compare=False)

    @property
    def groups(self) -> dict[str, float]:
        """The figures of groups of the samples in `detail`; counts of all of them are left out."""
        return {name: value for name, value in self.detail.items() if name not in COUNTS}

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON: all but the values of samples."""
        return {name: value for name, value in vars(self).items() if name != "per_sample"}


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
        more = {**dict(zip(COUNTS, (correct / of, correct, of), strict=True)), **(detail or {})}
        percent = 100.0 * (correct / of) if value is None else value
        return self._score(metric, percent, 100.0 * right_N, clusters, protocol, more)

    def mean(
        self,
        metric: str,
        values: ArrayLike,
        clusters: Sequence[Hashable] | None = None,
        *,
        detail: Mapping[str, float] | None = None,
        unit: str = "%",
    ) -> Score:
        """The mean of values in percent, or in another unit, [n]."""
        values_N = np.asarray(values, dtype=np.float64)
        value = float(values_N.sum()) / len(values_N)
        return replace(self._score(metric, value, values_N, clusters, None, detail or {}), unit=unit)

    def pooled(self, metric: str, counts: ArrayLike, formula: str, clusters: Sequence[Hashable] | None = None) -> Score:
        """What a formula makes of sums of counts over samples: BLEU, shares of words.

        >>> Figures("captioning", "captioning/coco").pooled("right words", [[2, 4], [1, 8]], "ratio").value
        25.0

        Args:
            metric: its name.
            counts: of each sample, [N, K].
            formula: one of `vlzoo.metrics.pooled.FORMULAS`.
            clusters: name of the cluster of each sample; None: each stands alone.
        """
        counts_NK = np.asarray(counts, dtype=np.float64)
        kept = PerSample(counts_NK, _codes(clusters, len(counts_NK)), formula)
        ends, groups = pooled_interval(counts_NK, kept.clusters, formula), len(np.unique(kept.clusters))
        about = (self.task, self.protocol, metric)
        return Score(*about, kept.figure(), ends, len(counts_NK), groups, "", per_sample=(kept,))

    def balanced(
        self, metric: str, values: ArrayLike, groups: Sequence[Hashable], clusters: Sequence[Hashable] | None = None
    ) -> Score:
        """The mean of the means of groups: classes, kinds of change.

        It is a mean in which each group weighs the same. So it is in each draw of its interval, where weights count as
        often as their samples are drawn: what is right everywhere is 100 in all of them.

        >>> round(Figures("zero-shot", "zero-shot/itc").balanced("mean per class", [100, 100, 100, 0], "aaab").value, 1)
        50.0

        Args:
            metric: its name.
            values: in percent, [n].
            groups: the group of each value, [n].
            clusters: the cluster of each value, [n]; None: each stands alone.
        """
        codes_N = cluster_codes(groups)
        weight_N = 1.0 / np.bincount(codes_N)[codes_N]
        counts_NK = np.stack([weight_N * np.asarray(values, dtype=np.float64) / 100.0, weight_N], axis=1)
        return self.pooled(metric, counts_NK, "ratio", clusters)

    def derived(
        self, metric: str, value: float, samples: int, unit: str = "%", *, per_sample: Sequence[PerSample] = ()
    ) -> Score:
        """A figure made of other figures, without an interval of its own.

        Args:
            metric: its name.
            value: of the figure.
            samples: how many samples they count.
            unit: of the value.
            per_sample: what two models are compared by, where it is the mean of means over samples.
        """
        return Score(
            self.task, self.protocol, metric, value, None, samples, 0, "", unit=unit, per_sample=tuple(per_sample)
        )

    def _score(
        self,
        metric: str,
        value: float,
        values_N: np.ndarray,
        clusters: Sequence[Hashable] | None,
        protocol: str | None,
        detail: Mapping[str, float],
    ) -> Score:
        codes = _codes(clusters, len(values_N))
        ends = interval(values_N, codes)
        groups = len(np.unique(codes))
        kept = (PerSample(values_N, codes),)
        about = (self.task, protocol or self.protocol, metric)
        return Score(*about, value, ends, len(values_N), groups, "", dict(detail), per_sample=kept)


def _codes(clusters: Sequence[Hashable] | None, samples: int) -> NDArray[np.int64]:
    return cluster_codes(clusters) if clusters is not None else np.arange(samples)
