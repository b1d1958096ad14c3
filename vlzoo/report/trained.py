"""What a page's runs were trained by: each recipe read once, for curves and manifest alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlzoo.errors import VlzooError
from vlzoo.report.subjects import Subject
from vlzoo.report.words import one_line
from vlzoo.runs.run import Run

PRETRAINING = "Pre-training"


@dataclass(frozen=True)
class Trained:
    """A training as a page tells of it.

    Attributes:
        name: of the run; with the fine-tuning's folder where one run was fine-tuned for a task several times.
        run: its folder.
        recipe: as plain data.
        number: the run's place on the page.
        nth: its place among that run's trainings for the same purpose.
    """

    name: str
    run: Run
    recipe: Mapping[str, Any]
    number: int = 0
    nth: int = 0

    @property
    def purpose(self) -> str:
        """What it was trained for, as a heading."""
        return _purpose(self.recipe)


def trained_of(subjects: Sequence[Subject]) -> tuple[list[Trained], dict[str, list[str]]]:
    """All trainings of some runs, pre-training first; and by the run's name which recipes can't be read."""
    found: list[Trained] = []
    unread: dict[str, list[str]] = {}
    for number, subject in enumerate(subjects):
        recipes = []
        for run in (subject.run, *subject.run.finetunings()) if subject.run.exists() else ():
            try:
                recipes.append((run, run.tree().data))
            except VlzooError as error:
                unread.setdefault(subject.name, []).append(one_line(error))
        found += _named(subject, number, recipes)
    return sorted(found, key=lambda each: each.purpose != PRETRAINING), unread


def _named(subject: Subject, number: int, recipes: Sequence[tuple[Run, Mapping[str, Any]]]) -> Iterator[Trained]:
    """One run's trainings, no two of one purpose under one name."""
    purposes = [_purpose(recipe) for _, recipe in recipes]
    for at, (run, recipe) in enumerate(recipes):
        alone = purposes.count(purposes[at]) == 1
        name = subject.name if alone or run.folder == subject.run.folder else run.folder.as_posix()
        yield Trained(name, run, recipe, number, purposes[:at].count(purposes[at]))


def _purpose(recipe: Mapping[str, Any]) -> str:
    return f"Fine-tuning for {recipe['task']}" if recipe.get("task") else PRETRAINING
