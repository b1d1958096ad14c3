"""Samples with what runs answered, right and wrong: from the predictions of a bench, read with their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlzoo.bench.store import Store
from vlzoo.config.schema import PartRef
from vlzoo.data.records import Sample, Told
from vlzoo.data.roots import open_source
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError, PredictionError
from vlzoo.hashing import number_of
from vlzoo.progress import Progress
from vlzoo.report.compare import Table
from vlzoo.report.words import one_line
from vlzoo.runs.run import Run
from vlzoo.runs.scores import AGAIN, Measurement, read
from vlzoo.task import Task

LOOKED_AT = 2_000
"""Most samples that examples are looked for among."""
HALF = 50.0
"""Percent from which on an answer counts as right here: VQA's may be right in part."""

RIGHT, WRONG, APART, UNKNOWN = "Right", "Wrong", "Right by some of the runs", "Not judged one by one"

Teller = Callable[[Sample], Told]


@dataclass(frozen=True)
class Example:
    """A sample, and what each run answered.

    Attributes:
        sample: the sample.
        told: the answers, by the run's name.
    """

    sample: Sample
    told: Mapping[str, Told]

    @property
    def heading(self) -> str:
        """The heading that it stands under."""
        known = [told.right >= HALF for told in self.told.values() if told.right is not None]
        if not known:
            return UNKNOWN
        return RIGHT if all(known) else APART if any(known) else WRONG


@dataclass
class Examples:
    """The examples of one task.

    Attributes:
        table: the figures that they are of.
        measured: each run's measurement, by the run's name.
        groups: examples by heading.
        why_not: what could not be shown, and why.
        looked_at: how many samples were looked at.
        samples: how many there are.
    """

    table: Table
    measured: Mapping[str, Measurement]
    groups: dict[str, list[Example]] = field(default_factory=dict)
    why_not: list[str] = field(default_factory=list)
    looked_at: int = 0
    samples: int = 0


def examples_of(table: Table, count: int, root: str | None) -> Examples:
    """Examples of a table, `count` at most under each heading; what could not be read is said in them.

    Which samples are looked at, and in which order, depends on their names alone: other runs show the same ones.

    Args:
        table: the figures.
        count: most examples of a heading.
        root: the data root.
    """
    files = zip(table.runs, map(Path, table.files), strict=True)
    found = Examples(table, {run: read(Run(file.parents[3]), file) for run, file in files})
    if not count:
        return found
    try:
        source = reopened(found.measured.values(), root)
        samples = list(_task(next(iter(found.measured.values()))).counted(source))
    except Exception as error:  # data and task may be a stranger's; the page is written all the same
        found.why_not.append(one_line(error))
        return found
    tellers: dict[str, Teller] = {}
    for run, measured in found.measured.items():
        try:
            tellers[run] = _teller(measured, source, samples)
        except Exception as error:  # as above
            found.why_not.append(f"{run}: {one_line(error)}")
    _look(found, sorted(samples, key=lambda sample: number_of(sample.name)), tellers, count)
    return found


def _look(found: Examples, samples: Sequence[Sample], tellers: dict[str, Teller], count: int) -> None:
    """Look at samples in turn until every heading has its examples."""
    found.samples, wanted = len(samples), [RIGHT, WRONG, *([APART] if len(tellers) > 1 else [])]
    with closing(Progress(f"examples of {found.table.task}", len(samples), unit="samples", brief=True)) as progress:
        for sample in samples[:LOOKED_AT]:
            example = Example(sample, _answers(found, sample, tellers))
            if not example.told:
                return
            found.looked_at += 1
            progress.update(found.looked_at)
            group = found.groups.setdefault(example.heading, [])
            if len(group) < count:
                group.append(example)
            if all(len(found.groups.get(name, ())) == count for name in wanted):
                return


def _answers(found: Examples, sample: Sample, tellers: dict[str, Teller]) -> dict[str, Told]:
    """What each run answered; a run whose answers can't be told is left out from then on, and that is said."""
    told = {}
    for run, tell in list(tellers.items()):
        try:
            told[run] = tell(sample)
        except Exception as error:  # as above
            del tellers[run]
            found.why_not.append(f"{run}: sample {sample.name}: {one_line(error)}")
    return told


def _task(measured: Measurement) -> Task:
    """The task, with the protocol that it was measured by."""
    task: Task = registry().build("task", measured.task, protocol=str(measured.about.get("protocol") or ""))
    return task


def _teller(measured: Measurement, source: Any, samples: Sequence[Sample]) -> Teller:
    task, rows = _task(measured), Store(measured.file.parent, None).rows()
    lacking = [sample for sample in samples if sample.name not in rows]
    blanks = {sample.name: task.blank(sample) for sample in lacking} if measured.about.get("missing") else {}
    if any(not blanks.get(sample.name) for sample in lacking):
        what = f"{len(lacking)} predictions are not there ({lacking[0].name})"
        raise PredictionError(what, where=str(measured.file.parent), fix=AGAIN)
    return task.told(source, rows | {name: row for name, row in blanks.items() if row})


def reopened(measured: Any, root: str | None) -> Any:
    """The data that some runs were measured on, as they were then.

    Args:
        measured: measurements on the same data.
        root: the data root.

    Raises:
        VlzooError: they are not there or have changed, or it was not noted how they were opened.
    """
    about = next((each.about for each in measured if isinstance(each.about.get("opened"), dict)), None)
    if about is None:
        raise DataError("these figures are of an older vlzoo, which did not note how the data were opened", fix=AGAIN)
    try:
        ref = PartRef.model_validate(about["opened"])
    except ValidationError as error:
        raise DataError(f"`opened` names no data: {about['opened']}", fix=AGAIN) from error
    source = open_source(ref, root)
    if (now := source.fingerprint()) != about.get("fingerprint"):
        what = f"the data have changed since: their fingerprint is {now}, and was {about.get('fingerprint')}"
        raise DataError(what, where=source.name, fix="put the data back, or bench it again")
    return source
