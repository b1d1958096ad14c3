"""A run, or several over each other, on one page: figures, curves, groups, examples, word maps, manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlzoo.data.records import Sample, Told
from vlzoo.errors import VlzooError
from vlzoo.report.compare import Comparison, Table, compare
from vlzoo.report.curves import Logged, curves, losses_of, style_of
from vlzoo.report.examples import (
    APART,
    HALF,
    RIGHT,
    UNKNOWN,
    WRONG,
    Example,
    Examples,
    examples_of,
)
from vlzoo.report.manifest import manifest_of
from vlzoo.report.page import rendered, title
from vlzoo.report.pictures import WordMaps, boxed, embedded
from vlzoo.report.published import numbers_for
from vlzoo.report.subjects import Subject, remedy, without_figures
from vlzoo.report.tables import breakdown, tabled
from vlzoo.report.trained import Trained, trained_of
from vlzoo.report.words import explained, one_line
from vlzoo.screen import shortened

LONGEST = 400
"""Columns of a text beside a picture."""


@dataclass
class Report:
    """What a page shows.

    Attributes:
        subjects: the runs.
        found: how they compare where they can be compared.
        examples: of every table, those of single runs included.
        maps: word maps of examples, by the table's number.
        no_maps: why maps are missing, by the table's number.
        published: whether published numbers stand beside.
    """

    subjects: Sequence[Subject]
    found: Comparison
    examples: Sequence[Examples]
    maps: dict[int, list[WordMaps]] = field(default_factory=dict)
    no_maps: dict[int, list[str]] = field(default_factory=dict)
    published: bool = False


def gathered(subjects: Sequence[Subject], count: int, root: str | None, published: bool = False) -> Report:
    """Everything but word maps.

    Args:
        subjects: the runs.
        count: most examples under each heading.
        root: the data root.
        published: whether published numbers are wanted.

    Raises:
        PredictionError: values of samples that can't be read.
    """
    having = [each for each in subjects if each.measured]
    found = compare(having) if having else Comparison((), (), ())
    tables = [*found.tables, *_alone(having, found)]
    return Report(subjects, found, [examples_of(table, count, root) for table in tables], published=published)


def _alone(subjects: Sequence[Subject], found: Comparison) -> Iterator[Table]:
    """The figures of what stands beside nothing: one run alone was measured on it, or otherwise than the others."""
    compared = {file for table in found.tables for file in table.files}
    for each in subjects:
        yield from (table for table in compare([each]).tables if table.files[0] not in compared)


def whole_page(report: Report) -> str:
    """The page."""
    names = [each.name for each in report.subjects]
    shown = [_task_shown(report, number, each) for number, each in enumerate(report.examples)]
    trained, damaged = trained_of(report.subjects)
    logs, unread = _logs(trained)
    return rendered(
        "report.html",
        title=title(names),
        runs=[_run_shown(number, each, damaged.get(each.name, ())) for number, each in enumerate(report.subjects)],
        several=len(names) > 1,
        flagged=report.found.flagged,
        tasks=shown,
        below=list(explained(report.found)),
        curves=[{"name": name, "groups": curves(each)} for name, each in logs.items()],
        unread=unread,
        manifests=_manifests(trained),
    )


def _run_shown(number: int, subject: Subject, damaged: Sequence[str]) -> dict[str, Any]:
    """A run in a line, and what must be known of it before all else; `damaged`: its recipes that can't be read."""
    said, notes = [], [f"neither curves nor a manifest: {why}" for why in damaged]
    if subject.run.exists():
        try:
            noted, steps = subject.run.noted(), subject.run.saved_steps()
            said += [str(noted["recipe"])] if noted.get("recipe") else []
            said += [f"{noted['parameters']:,} parameters"] if isinstance(noted.get("parameters"), int) else []
            said += [f"trained to step {steps[-1]:,}"] if steps else ["no checkpoint yet"]
            tasks = [each.folder.name for each in subject.run.finetunings()]
            said += [f"fine-tuned for {', '.join(tasks)}"] if tasks else []
        except VlzooError as error:
            notes.append(one_line(error))
    else:
        notes.append(_predictions_of(subject))
    if not subject.measured:
        notes.append(f"{subject.name}{without_figures(subject)} ({remedy(subject)})")
    return {"name": subject.name, "style": style_of(number), "said": "; ".join(said), "notes": notes}


def _predictions_of(subject: Subject) -> str:
    """What predictions are of that lie in no run."""
    run = next((each.measured_run.folder for each in subject.measured if each.measured_run.exists()), None)
    if run is not None:
        return f"predictions of {run}, whose curves and manifest `vlzoo report {run}` shows"
    model = next((each.about["model"] for each in subject.measured if each.about.get("model")), "another model")
    return f"predictions of {model}, and no run of vlzoo: it has neither curves nor a manifest"


def _task_shown(report: Report, number: int, found: Examples) -> dict[str, Any]:
    """A task's figures, groups, examples and maps."""
    table = found.table
    numbers = numbers_for(table.data, [each.metric for each in table.figures]) if report.published else []
    places = {each.name: place for place, each in enumerate(report.subjects)}
    styles = {run: style_of(places[run]) for run in table.runs}
    return {
        "id": f"task-{number}",
        "styles": styles,
        "table": tabled(table, numbers, report.published),
        "groups": breakdown(table, found.measured),
        "notes": _notes(found),
        "examples": [
            {"name": name, "cards": [_card(each) for each in found.groups.get(name, ())]} for name in _headings(found)
        ],
        "looked_at": found.looked_at,
        "samples": found.samples,
        "why_not": found.why_not,
        "maps": report.maps.get(number, []),
        "no_maps": report.no_maps.get(number, []),
    }


def _headings(found: Examples) -> list[str]:
    """The headings that stand on the page: right and wrong even where there is none, unless nothing is judged."""
    if not found.groups:
        return []
    return [UNKNOWN] if {*found.groups} == {UNKNOWN} else [RIGHT, WRONG, *({APART} & {*found.groups})]


def _notes(found: Examples) -> list[str]:
    """What each bench noted beside its figures; by the run where there are several."""
    several = len(found.measured) > 1
    noted = ((run, each.about.get("notes")) for run, each in found.measured.items())
    each_noted = ((run, note) for run, notes in noted if isinstance(notes, list) for note in notes)
    return [f"{run}: {note}" if several else str(note) for run, note in each_noted]


def _card(example: Example) -> dict[str, Any]:
    answers = list(example.told.items())
    told = answers[0][1]
    return {
        "name": example.sample.name,
        "pictures": [*_pictures(example.sample, [each for _, each in answers])],
        "asked": shortened(told.asked, LONGEST),
        "answers": [
            {
                "run": run,
                "said": shortened(each.said, LONGEST),
                "verdict": _verdict(each.right),
                "right": (each.right or 0) >= HALF,
            }
            for run, each in answers
        ],
        "truth": [shortened(text, LONGEST) for text in told.truth],
        "boxes": bool(told.boxes),
    }


def _verdict(right: float | None) -> str:
    """How right an answer is, in words.

    >>> _verdict(100.0), _verdict(0.0), _verdict(60.0), _verdict(None)
    ('right', 'wrong', '60 % right', '')
    """
    if right is None:
        return ""
    return "right" if right >= 100 else "wrong" if right <= 0 else f"{right:.0f} % right"


def _pictures(sample: Sample, told: Sequence[Told]) -> Iterator[dict[str, str]]:
    """A sample's pictures with its boxes, and those that were answered; or why one can't be shown."""
    found = [each.boxes[0] for each in told if each.boxes]
    true = told[0].boxes[1:]
    shown = [(image, "") for image in sample.images] + [(each.found, "found") for each in told if each.found]
    for image, caption in shown:
        try:
            picture = image.open()
            address = embedded(boxed(picture, found, true) if found and not caption else picture)
            yield {"address": address, "caption": caption, "why_not": ""}
        except Exception as error:  # data may be a stranger's; the page is written all the same
            yield {"address": "", "caption": caption, "why_not": one_line(error)}


def _logs(trained: Sequence[Trained]) -> tuple[dict[str, list[Logged]], list[str]]:
    """What was logged, by what it was trained for; and which logs can't be read."""
    found: dict[str, list[Logged]] = {}
    unread = []
    for each in trained:
        try:
            rows = each.run.metrics()
        except VlzooError as error:
            unread.append(one_line(error))
            continue
        if rows:
            log = Logged(each.name, each.number, rows, losses_of(each.recipe), each.nth)
            found.setdefault(each.purpose, []).append(log)
        else:
            unread.append(f"{each.run.folder} has logged nothing: no curves")
    return found, unread


def _manifests(trained: Sequence[Trained]) -> list[dict[str, Any]]:
    """Manifests of runs side by side, by what they were trained for."""
    purposes = dict.fromkeys(each.purpose for each in trained)
    grouped = {purpose: [each for each in trained if each.purpose == purpose] for purpose in purposes}
    return [{"name": purpose, **manifest_of(runs)} for purpose, runs in grouped.items()]
