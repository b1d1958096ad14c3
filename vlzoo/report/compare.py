"""Runs side by side: a table a task, every figure with its paired difference from the first run that has it.

Legend: N samples, C clusters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vlzoo.metrics.figures import MEAN, PerSample, Score
from vlzoo.metrics.paired import Estimate, Part, estimate, gaps, holm, mcnemar, shares, sign_flips
from vlzoo.metrics.pooled import pooled_difference
from vlzoo.report.alike import Differs, differences, options_that_differ, remedy, shared
from vlzoo.report.subjects import Subject, tasks_of
from vlzoo.runs.scores import Measurement

FLIPS = 10_000
"""Patterns of signs that a p-value is drawn by; none is below 0.0001."""

MCNEMAR, SIGN_FLIPS, SWAPS = "McNemar", "sign flips", "swaps"
NO_VALUES = "figures without the values of their samples, of an older vlzoo: bench it again"
NO_MEAN = "not made of samples"
OTHER_SAMPLES = "other samples"


@dataclass(frozen=True)
class Entry:
    """One figure of one run.

    Attributes:
        run: the run.
        value: of the figure.
        interval: its 95 % interval; None where there is none.
        samples: how many it counts.
        clusters: how many clusters of them; 0: unknown.
        difference: from the first run's figure; None for the first run, and where no test was made.
        difference_interval: its 95 % interval, by drawing clusters with both runs' values.
        p_value: of the test.
        p_holm: raised for all comparisons that were made.
        test: which test.
        why_not: why none was made; empty for the first run.
    """

    run: str
    value: float
    interval: tuple[float, float] | None
    samples: int
    clusters: int
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None
    p_value: float | None = None
    p_holm: float | None = None
    test: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class Figure:
    """One figure of all runs of a table, the first run's first."""

    protocol: str
    metric: str
    unit: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Table:
    """The runs that were measured alike on a task.

    Attributes:
        task: the task.
        data: what they were measured on: name and fingerprint.
        how: `mode`, `k`, `precision` and the training, as far as they are known.
        runs: their names; the others are compared with the first.
        checkpoints: the step of each; None where there are none.
        figures: what was measured.
        notes: what must be known beside the numbers.
        files: where each run's figures lie, beside its predictions.
    """

    task: str
    data: str
    how: dict[str, Any]
    runs: tuple[str, ...]
    checkpoints: tuple[int | None, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flagged:
    """A run that was measured on a task, but not as the first run was."""

    task: str
    run: str
    base: str
    differs: tuple[Differs, ...]
    fix: str

    def __str__(self) -> str:
        what = "; ".join(map(str, self.differs))
        return f"{self.task}: {self.run} is not compared with {self.base}: {what}\n  -> {self.fix}"


@dataclass(frozen=True)
class Comparison:
    """Everything that was found.

    Attributes:
        runs: the names, as given.
        tables: what could be compared; of one run, its figures.
        flagged: what could not.
        unmeasured: tasks that a single run was measured on, each with that run.
        comparisons: how many tests were made.
    """

    runs: tuple[str, ...]
    tables: tuple[Table, ...]
    flagged: tuple[Flagged, ...]
    unmeasured: dict[str, str] = field(default_factory=dict)
    comparisons: int = 0


def compare(compared: Sequence[Subject], task: str | None = None, allowed: Sequence[str] = ()) -> Comparison:
    """Compare runs with the first of them that was measured on a task; of one run, its figures alone.

    Args:
        compared: the runs.
        task: this task alone; None: every task.
        allowed: differences that are let pass, of `vlzoo.report.alike.ALLOWED`.

    Raises:
        UnknownName: none was measured on the task.
        PredictionError: values of samples that can't be read.
    """
    tables: list[Table] = []
    flagged: list[Flagged] = []
    alone = {}
    for each in tasks_of(compared, task):
        having = [subject for subject in compared if subject.on(each)]
        if len(having) == 1 < len(compared):
            alone[each] = having[0].name
        else:
            made, refused = _of_task(each, having, allowed)
            tables += made
            flagged += refused
    names = tuple(subject.name for subject in compared)
    return _corrected(Comparison(names, tuple(tables), tuple(flagged), alone))


def _of_task(task: str, having: Sequence[Subject], allowed: Sequence[str]) -> tuple[list[Table], list[Flagged]]:
    base, others = having[0], having[1:]
    tables, left = [], {other.name: other for other in others}
    for measured in _distinct(base.on(task)):
        partners = [(other.name, found) for other in others if (found := _alike(measured, other.on(task), allowed))]
        if partners or not others:
            tables.append(_table(task, [(base.name, measured), *partners]))
            left = {name: other for name, other in left.items() if name not in dict(partners)}
    return tables, [_refused(task, base, other, allowed) for other in left.values()]


def _distinct(measured: Sequence[Measurement]) -> Iterator[Measurement]:
    """Without those that an equal, newer one stands for: the weights of the same step, or code, have changed."""
    seen: list[Measurement] = []
    for each in measured:
        if not any(shared(each, new) and not differences(each, new) for new in seen):
            seen.append(each)
            yield each


def _alike(base: Measurement, others: Sequence[Measurement], allowed: Sequence[str]) -> Measurement | None:
    return next((each for each in others if not _blocking(base, each, allowed)), None)


def _blocking(base: Measurement, other: Measurement, allowed: Sequence[str]) -> list[Differs]:
    return [each for each in differences(base, other) if each.what not in allowed]


def _refused(task: str, base: Subject, other: Subject, allowed: Sequence[str]) -> Flagged:
    """What differs between the two measurements that are most alike."""
    pairs = [(ours, theirs) for ours in base.on(task) for theirs in other.on(task)]
    ours, theirs = min(pairs, key=lambda pair: len(_blocking(pair[0], pair[1], allowed)))
    found = _blocking(ours, theirs, allowed)
    return Flagged(task, other.name, base.name, tuple(found), remedy(ours, theirs, other.name, found))


def _table(task: str, measured: Sequence[tuple[str, Measurement]]) -> Table:
    """The figures that the first has, with those of the others."""
    names, found = zip(*measured, strict=True)
    base = found[0]
    scores = [{(score.protocol, score.metric): score for score in each.whole()} for each in found]
    kept = [each.values.is_file() for each in found]
    figures = tuple(
        Figure(*key, score.unit, tuple(_entries(names, [each.get(key) for each in scores], kept)))
        for key, score in scores[0].items()
    )
    training = (base.about.get("recipe") or {}).get("task") if isinstance(base.about.get("recipe"), dict) else None
    how = {**{what: base.about.get(what) for what in ("mode", "k", "precision")}, "fine-tuned": training}
    data, steps = base.scores[0].data, tuple(each.about.get("checkpoint") for each in found)
    files = tuple(str(each.file) for each in found)
    return Table(task, data, how, tuple(names), steps, figures, tuple(_notes(names, found)), files)


def _notes(names: Sequence[str], found: Sequence[Measurement]) -> Iterator[str]:
    base = found[0]
    for name, other in zip(names[1:], found[1:], strict=True):
        passed = [*differences(base, other), *options_that_differ(base, other)]
        if passed:
            yield f"{name} is compared all the same: {'; '.join(map(str, passed))}"
        if base.about.get("weights") and base.about.get("weights") == other.about.get("weights"):
            yield f"{name} has the weights of {names[0]}"
    if missing := base.about.get("missing"):
        yield f"{missing} samples without a prediction count as wrong"


def _entries(names: Sequence[str], scores: Sequence[Score | None], kept: Sequence[bool]) -> Iterator[Entry]:
    """One figure of every run that has it; `kept`: whether the values of a run's samples were."""
    base = scores[0]
    assert base is not None
    for number, (name, score) in enumerate(zip(names, scores, strict=True)):
        if score is None:
            continue
        ends = (score.interval[0], score.interval[1]) if score.interval else None
        entry = Entry(name, score.value, ends, score.samples, score.clusters)
        if number == 0:
            yield entry
        elif kept[0] and kept[number]:
            yield _tested(entry, score, base)
        else:
            yield replace(entry, why_not=NO_VALUES)


def _tested(entry: Entry, score: Score, base: Score) -> Entry:
    """An entry with its difference from the first run's, or with the reason why there is none."""
    if not (score.per_sample and base.per_sample):
        return replace(entry, why_not=NO_MEAN)
    if not _same_samples(score.per_sample, base.per_sample):
        return replace(entry, why_not=OTHER_SAMPLES)
    found, test = _difference(score.per_sample, base.per_sample)
    return replace(entry, difference=found.mean, difference_interval=found.interval, p_value=found.p_value, test=test)


def _difference(ours: Sequence[PerSample], theirs: Sequence[PerSample]) -> tuple[Estimate, str]:
    """A difference with its p-value, and the test that gave it."""
    if ours[0].formula != MEAN:
        about = (ours[0].clusters, ours[0].formula)
        return pooled_difference(ours[0].values, theirs[0].values, *about, swaps=FLIPS), SWAPS
    apart = gaps(_as_parts(ours), _as_parts(theirs))
    right = [_right_or_wrong(each) for each in (ours, theirs)]
    if right[0] is not None and right[1] is not None:
        p_value, test = mcnemar(right[0], right[1]), MCNEMAR
    else:
        p_value, test = sign_flips(shares(apart), FLIPS), SIGN_FLIPS
    return replace(estimate(apart), p_value=p_value), test


def _same_samples(ours: Sequence[PerSample], theirs: Sequence[PerSample]) -> bool:
    return len(ours) == len(theirs) and all(
        np.array_equal(one.clusters, other.clusters)
        and (one.formula, one.values.shape) == (other.formula, other.values.shape)
        for one, other in zip(ours, theirs, strict=True)
    )


def _as_parts(per_sample: Sequence[PerSample]) -> list[Part]:
    count = 1 + max(int(each.clusters.max()) for each in per_sample)
    return [Part.of([each.values], each.clusters, count) for each in per_sample]


def _right_or_wrong(per_sample: Sequence[PerSample]) -> np.ndarray | None:
    """Where a figure's samples are right, [N]; None where they are in part, or do not stand alone."""
    held = per_sample[0]
    single = len(per_sample) == 1 and len(np.unique(held.clusters)) == len(held.clusters)
    return held.values > 0 if single and np.isin(held.values, (0.0, 100.0)).all() else None


def _corrected(found: Comparison) -> Comparison:
    """With p-values that count all comparisons that were made."""
    tested = [e.p_value for t in found.tables for f in t.figures for e in f.entries if e.p_value is not None]
    raised = iter(holm(tested))

    def corrected(entry: Entry) -> Entry:
        return entry if entry.p_value is None else replace(entry, p_holm=next(raised))

    tables = tuple(
        replace(t, figures=tuple(replace(f, entries=tuple(map(corrected, f.entries))) for f in t.figures))
        for t in found.tables
    )
    return replace(found, tables=tables, comparisons=len(tested))
