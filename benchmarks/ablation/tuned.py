"""From fine-tuned runs to a table: each figure's mean over seeds, paired differences, and a sum where one is asked.

Legend: N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ablation.plan import Job, done_runs
from vlzoo.metrics.paired import Part, difference, estimate
from vlzoo.metrics.pooled import pooled_estimate
from vlzoo.resources import published

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Paper:
    """The paper's table that ours stands beside.

    Attributes:
        table: its name in published.yaml.
        rows: a row of ours -> what all lines of the paper's row say.
        columns: a column's name -> data, split and metric.
    """

    table: str
    rows: Mapping[str, Mapping[str, str]]
    columns: Mapping[str, tuple[str, str, str]]

    def figures(self) -> dict[str, dict[str, float]]:
        """The paper's row of each of ours, by column; what it does not print is left out."""
        listed = yaml.safe_load(published().read_text(encoding="utf-8"))["results"]
        lines = [line for line in listed if line["table"] == self.table]
        return {row: dict(self._told(lines, facts.items())) for row, facts in self.rows.items()}

    def _told(self, lines: Sequence[Mapping[str, Any]], facts: Any) -> Iterator[tuple[str, float]]:
        names = {key: name for name, key in self.columns.items()}
        for line in lines:
            key = (line["dataset"], line["split"], line["metric"])
            if key in names and facts <= line.items():
                yield names[key], float(line["value"])


@dataclass(frozen=True)
class Look:
    """Which figures a suite's table has.

    Attributes:
        summed: those that the paper's table has, too.
        paper: its table.
        total: what the sum of `summed` is called; empty: they are not added up.
        beside: figures of which the paper's table has none.
        against: row -> what it is compared with, in place of the baseline.
        chance: of a run, figure -> what drawing lots is worth on what it is measured on; None: nothing is told of it.
    """

    summed: tuple[str, ...]
    paper: Paper
    total: str = ""
    beside: tuple[str, ...] = ()
    against: Mapping[str, str] = field(default_factory=dict)
    chance: Callable[[Job], Mapping[str, float]] | None = None

    @property
    def figures(self) -> tuple[str, ...]:
        """All, in their order."""
        return (*self.summed, *filter(None, [self.total]), *self.beside)

    def measured(self, run: Arrays) -> tuple[str, ...]:
        """The figures that a run has values of; the sum where it has them of all summands."""
        held = {name for name in (*self.summed, *self.beside) if f"{name}/value" in run}
        whole = {self.total} if held.issuperset(self.summed) else set()
        return tuple(name for name in self.figures if name in held | whole)

    def parts_of(self, figure: str, runs: Sequence[Arrays]) -> list[Part]:
        """What a figure is the mean of: itself, or for the sum every summand, as many times as there are summands.

        Pictures are numbered through all figures: one picture's questions, captions and expressions are drawn together.

        Raises:
            ValueError: the runs were measured on other samples.
        """
        names = self.summed if figure == self.total else (figure,)
        clusters, images = clusters_of(names, runs)
        return [
            Part.of([len(names) * run[f"{name}/value"] for run in runs], places, images)
            for name, places in zip(names, clusters, strict=True)
        ]


def clusters_of(figures: Sequence[str], runs: Sequence[Arrays]) -> tuple[list[NDArray[np.int64]], int]:
    """The number of each sample's picture, [N] for each figure, and how many pictures there are.

    Raises:
        ValueError: the runs were measured on other samples.
    """
    for name in figures:
        if any(not np.array_equal(run[f"{name}/image"], runs[0][f"{name}/image"]) for run in runs):
            raise ValueError(f"{name}: the runs were measured on other samples")
    listed = [runs[0][f"{name}/image"] for name in figures]
    images, places = np.unique(np.concatenate(listed), return_inverse=True)
    return np.split(places, np.cumsum([len(each) for each in listed])[:-1]), len(images)


def estimated(figure: str, runs: Sequence[Arrays]) -> dict[str, Any]:
    """A figure's mean over seeds, its interval over pictures and seeds, and each seed's value.

    Raises:
        ValueError: the runs were measured on other samples.
    """
    (places,), images = clusters_of([figure], runs)
    values = [run[f"{figure}/value"] for run in runs]
    formula = runs[0].get(f"{figure}/formula")
    if formula is not None:
        return pooled_estimate(values, places, str(formula)).json()
    return estimate([Part.of(values, places, images)]).json()


def summary(jobs: Sequence[Job], look: Look) -> dict[str, Any]:
    """Everything that the tables show, as plain data; rows and settings without a run are left out."""
    done, runs = done_runs(jobs)
    known = {job.setting.name: job for job in jobs}
    settings = {name: _of_setting(known[name], rows, look) for name, rows in done.items()}
    return {"asked": len(jobs), "runs": runs, "baseline": jobs[0].baseline, "settings": settings}


def _of_setting(job: Job, rows: Mapping[str, Mapping[int, Arrays]], look: Look) -> dict[str, Any]:
    """A setting's figures, those that its runs have values of; `job` is any of its runs."""
    first = next(iter(next(iter(rows.values())).values()))
    figures = look.measured(first)
    chance = look.chance(job) if look.chance else {}
    return {
        "about": job.setting.about,
        "train": dict(job.setting.sizes),
        "fingerprint": job.setting.fingerprint,
        "figures": list(figures),
        "pools": job.pools,
        "chance": {name: value for name, value in chance.items() if name in figures},
        "samples": _sizes(first, [name for name in figures if name != look.total]),
        "rows": dict(_rows(rows, job.baseline, look, figures)),
    }


def _sizes(arrays: Arrays, figures: Sequence[str]) -> dict[str, dict[str, int]]:
    return {
        name: {"samples": len(arrays[f"{name}/value"]), "images": len(np.unique(arrays[f"{name}/image"]))}
        for name in figures
    }


def _rows(
    rows: Mapping[str, Mapping[int, Arrays]], baseline: str, look: Look, figures: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    paper = look.paper.figures()
    for name, runs in rows.items():
        against = look.against.get(name, baseline)
        base = rows.get(against, {})
        shared = sorted(runs.keys() & base.keys()) if name != against else []
        found = {figure: _compared(figure, runs, base, shared, look) for figure in figures}
        seeds = {"seeds": sorted(runs), "paired_seeds": shared, "against": against}
        yield name, {**seeds, "paper": paper.get(name, {}), "figures": found}


def _compared(
    figure: str, runs: Mapping[int, Arrays], base: Mapping[int, Arrays], shared: Sequence[int], look: Look
) -> dict[str, Any]:
    found = estimate(look.parts_of(figure, [runs[seed] for seed in sorted(runs)])).json()
    if shared:
        mine, theirs = (look.parts_of(figure, [held[seed] for seed in shared]) for held in (runs, base))
        found["difference"] = difference(mine, theirs).json()
    return found
