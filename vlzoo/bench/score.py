"""Predictions that anybody made, scored by the task that scores our own; without torch and without a model."""

from __future__ import annotations

from dataclasses import replace

from vlzoo.data.predictions import Files
from vlzoo.errors import DataError
from vlzoo.metrics.figures import Scored
from vlzoo.task import Task


def score_files(task: Task, files: Files) -> Scored:
    """Score one task's predictions.

    Args:
        task: the task with its options.
        files: predictions, and what they are judged by.

    Raises:
        DataError: annotations that cannot be read or are not of this task.
        PredictionError: predictions that do not fit the annotations.
    """
    try:
        samples, rows, missing = task.read(files)
        scored = task.score(samples, rows).on(samples.data)
    except (KeyError, TypeError, AttributeError) as error:
        named = " and ".join(path.name for path in (files.annotations, files.predictions) if path)
        what = f"{named} are not in a format of {task.name}: {type(error).__name__}: {error}"
        raise DataError(what, fix="see `vlzoo score --help` for the formats") from error
    return replace(scored, missing=missing)
