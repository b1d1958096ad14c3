"""From the runs of X-VLM's ablation to its table: each figure's mean over seeds, paired differences, the Meta-Sum.

Legend: S seeds, C pictures.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ablation.plan import Job
from ablation.statistics import Part, difference, estimate
from ablation.tasks import BESIDE, SUMMED
from vlzoo.resources import published

Arrays = Mapping[str, NDArray[Any]]
META = "Meta-Sum"
FIGURES = (*SUMMED, META, *BESIDE)
PAPER = {
    "full": "X-VLM",
    "without-objects": "w/o object",
    "without-regions": "w/o region",
    "without-box": "w/o bbox loss",
    "without-all": "w/o all",
}
"""Row -> what the paper's table calls it; the attention pool is ours."""
COLUMNS = {
    "Meta-Sum": ("all", "-", "meta-sum"),
    "COCO TR": ("coco", "test-5k", "TR R@1"),
    "COCO IR": ("coco", "test-5k", "IR R@1"),
    "F30K TR": ("flickr30k", "test-1k", "TR R@1"),
    "F30K IR": ("flickr30k", "test-1k", "IR R@1"),
    "VQA": ("vqa2", "test-dev", "vqa-accuracy"),
    "NLVR2": ("nlvr2", "test-P", "accuracy"),
    "RefCOCO+ A": ("refcoco+", "testA", "accuracy"),
    "RefCOCO+ B": ("refcoco+", "testB", "accuracy"),
}
"""The paper's columns: data, split and metric."""


def paper_figures() -> dict[str, dict[str, float]]:
    """The paper's row of each of ours, by column."""
    listed = yaml.safe_load(published().read_text(encoding="utf-8"))["results"]
    lines = [line for line in listed if line["table"] == "xvlm/ablation"]
    told = {(r["method"], r["dataset"], r["split"], r["metric"]): float(r["value"]) for r in lines}
    return {row: {name: told[(method, *key)] for name, key in COLUMNS.items()} for row, method in PAPER.items()}


def summary(jobs: Sequence[Job]) -> dict[str, Any]:
    """Everything that the tables show, as plain data; rows and settings without a run are left out."""
    done: dict[str, dict[str, dict[int, Arrays]]] = defaultdict(lambda: defaultdict(dict))
    runs = []
    for job in jobs:
        if job.done:
            with np.load(job.folder / "values.npz") as held:
                done[job.setting.name][job.row][job.seed] = {name: held[name] for name in held.files}
            runs.append(json.loads((job.folder / "result.json").read_text(encoding="utf-8")))
    known, paper = {job.setting.name: job.setting for job in jobs}, paper_figures()
    settings = {
        name: {
            "train": dict(known[name].sizes),
            "fingerprint": known[name].fingerprint,
            "samples": _sizes(next(iter(next(iter(rows.values())).values()))),
            "rows": dict(_rows(rows, jobs[0].baseline, paper)),
        }
        for name, rows in done.items()
    }
    return {"asked": len(jobs), "runs": runs, "baseline": jobs[0].baseline, "settings": settings}


def _sizes(arrays: Arrays) -> dict[str, dict[str, int]]:
    return {
        name: {"samples": len(arrays[f"{name}/value"]), "images": len(np.unique(arrays[f"{name}/image"]))}
        for name in (*SUMMED, *BESIDE)
    }


def _rows(
    rows: Mapping[str, Mapping[int, Arrays]], baseline: str, paper: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, runs in rows.items():
        base = rows.get(baseline, {})
        shared = sorted(runs.keys() & base.keys()) if name != baseline else []
        found = {figure: _compared(figure, runs, base, shared) for figure in FIGURES}
        yield name, {"seeds": sorted(runs), "paired_seeds": shared, "paper": paper.get(name, {}), "figures": found}


def _compared(
    figure: str, runs: Mapping[int, Arrays], base: Mapping[int, Arrays], shared: Sequence[int]
) -> dict[str, Any]:
    found = estimate(parts_of(figure, [runs[seed] for seed in sorted(runs)])).json()
    if shared:
        mine, theirs = (parts_of(figure, [held[seed] for seed in shared]) for held in (runs, base))
        found["difference"] = difference(mine, theirs).json()
    return found


def parts_of(figure: str, runs: Sequence[Arrays]) -> list[Part]:
    """What a figure is the mean of: itself, or for the Meta-Sum every summand, as many times as there are summands.

    Pictures are numbered through all figures: one picture's questions, captions and expressions are drawn together.

    Raises:
        ValueError: the runs were measured on other samples.
    """
    names = SUMMED if figure == META else (figure,)
    images, place = np.unique(np.concatenate([runs[0][f"{name}/image"] for name in names]), return_inverse=True)
    ends = np.cumsum([len(runs[0][f"{name}/image"]) for name in names])
    made = []
    for name, clusters in zip(names, np.split(place, ends[:-1]), strict=True):
        if any(not np.array_equal(run[f"{name}/image"], runs[0][f"{name}/image"]) for run in runs):
            raise ValueError(f"{name}: the runs were measured on other samples")
        made.append(Part.of([len(names) * run[f"{name}/value"] for run in runs], clusters, len(images)))
    return made
