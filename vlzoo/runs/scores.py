"""The figures of bench on disk, with the values of every sample beside them. No torch here.

A folder of predictions holds `score-PROTOCOL.json`, for people and for tables, and `score-PROTOCOL.npz`: what each
figure is made of, which `vlzoo compare` tests by.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.errors import PredictionError
from vlzoo.files import replacing, write_text, writing
from vlzoo.metrics.figures import MEAN, PerSample, Score, Scored
from vlzoo.metrics.pooled import FORMULAS
from vlzoo.runs.run import Run

VALUES = "values"
AGAIN = "bench it again: predictions that are there are not made anew"


@dataclass(frozen=True)
class Measurement:
    """What one bench of one task found.

    Attributes:
        run: where the predictions lie: a run, or the folder of another model's.
        file: that holds the figures.
        about: what they are of and how they were made, as plain values.
        scores: the figures, without the values of samples.
    """

    run: Run
    file: Path
    about: Mapping[str, Any]
    scores: tuple[Score, ...]

    @property
    def task(self) -> str:
        """The task's name."""
        return self.scores[0].task

    @property
    def measured_run(self) -> Run:
        """The run whose weights were measured, wherever `--out` put the figures; where none is known, `run`."""
        named = Run(Path(str(self.about.get("run") or self.run.folder)))
        return named if named.exists() and not self.run.exists() else self.run

    @property
    def values(self) -> Path:
        """The file with the values of samples; an older vlzoo wrote none."""
        return self.file.with_suffix(".npz")

    def whole(self) -> tuple[Score, ...]:
        """The figures with the values of samples, as far as they were kept.

        Raises:
            PredictionError: the values can't be read, or are not those of the figures.
        """
        if not self.values.is_file():
            return self.scores
        where = str(self.values)
        try:
            with np.load(self.values) as held:
                arrays = dict(held)
            found = tuple(replace(each, per_sample=_parts(arrays, n)) for n, each in enumerate(self.scores))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise PredictionError(f"the values of samples can't be read: {error}", where=where, fix=AGAIN) from None
        for score in found:
            parts = [part.figure() for part in score.per_sample] or [score.value]
            made = sum(parts) / len(parts)
            if not abs(made - score.value) < 1e-6:
                what = f"{score.metric} is {score.value:.2f}, and its samples' values make {made:.2f}"
                raise PredictionError(what, where=where, fix=AGAIN)
        return found


def keep(folder: Path, about: Mapping[str, Any], scored: Scored, protocol: str) -> None:
    """Write the figures of predictions beside them.

    Args:
        folder: where the predictions lie.
        about: what they are of.
        scored: the figures.
        protocol: as the task calls it; it names the files.

    Raises:
        VlzooError: the system refused.
    """
    scores = [score.plain() for score in scored.scores]
    report = {**about, "notes": scored.notes, "missing": scored.missing, "scores": scores}
    file = folder / f"score-{protocol.replace('/', '-')}.json"
    with writing(file, "the figures"):
        with replacing(file.with_suffix(".npz")) as fresh, fresh.open("wb") as opened:
            np.savez_compressed(opened, **_arrays(scored))
        write_text(file, json.dumps(report, indent=1))


def measurements(run: Run) -> list[Measurement]:
    """What was measured of a run, the newest first; what was fine-tuned from it into its folder is not asked.

    Raises:
        PredictionError: figures that can't be read.
    """
    files = sorted(run.bench_folder().glob("*/*/score-*.json"), key=lambda file: (-file.stat().st_mtime_ns, file))
    return [read(run, file) for file in files]


def read(run: Run, file: Path) -> Measurement:
    """The figures in one file.

    Raises:
        PredictionError: they can't be read.
    """
    known = {field.name for field in fields(Score)} - {"per_sample"}
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        rows = [{name: value for name, value in row.items() if name in known} for row in report.pop("scores")]
        scores = tuple(Score(**{**row, "interval": row["interval"] and tuple(row["interval"])}) for row in rows)
        if not scores or not all(map(_is_whole, scores)):
            raise ValueError("it holds no figures, or figures of other types")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"the figures can't be read: {type(error).__name__}: {error}"
        raise PredictionError(what, where=str(file), fix=AGAIN) from None
    return Measurement(run, file, report, scores)


def _is_whole(score: Score) -> bool:
    """Whether what was read has the types that were written."""
    numbers = [score.value, score.samples, score.clusters, *(score.interval or (0.0, 0.0))]
    texts = (score.task, score.protocol, score.metric, score.data, score.unit)
    types = all(isinstance(each, int | float) for each in numbers) and all(isinstance(each, str) for each in texts)
    groups = isinstance(score.detail, dict) and all(isinstance(each, int | float) for each in score.detail.values())
    return types and groups and len(numbers) == 5


def _arrays(scored: Scored) -> dict[str, Any]:
    """Of figure n and its part m: `n/m/values`, `n/m/clusters`, and `n/m/FORMULA` where it is no mean."""
    made = {}
    for number, score in enumerate(scored.scores):
        for part, held in enumerate(score.per_sample):
            name = VALUES if held.formula == MEAN else held.formula
            made[f"{number}/{part}/{name}"] = held.values
            made[f"{number}/{part}/clusters"] = held.clusters.astype(np.int32)
    return made


def _parts(arrays: Mapping[str, np.ndarray], number: int) -> tuple[PerSample, ...]:
    found: list[PerSample] = []
    while f"{number}/{len(found)}/clusters" in arrays:
        place = f"{number}/{len(found)}"
        name = next((each for each in (VALUES, *FORMULAS) if f"{place}/{each}" in arrays), VALUES)
        values, clusters = arrays[f"{place}/{name}"], arrays[f"{place}/clusters"].astype(np.int64)
        whole = values.ndim == (1 if name == VALUES else 2) and values.shape[:1] == clusters.shape
        if not whole or not len(values) or clusters.min() < 0:
            raise ValueError(f"{place} holds {list(values.shape)} values in {list(clusters.shape)} clusters")
        found.append(PerSample(values.astype(np.float64), clusters, MEAN if name == VALUES else name))
    return tuple(found)
