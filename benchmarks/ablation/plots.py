"""Pictures of a suite: losses while it was trained, and every row's difference from the baseline beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes

from ablation.plan import BASELINE
from ablation.table import excludes_zero, paper_gaps, pooled
from ablation.tuned import Look
from vlzoo.files import replacing

matplotlib.use("Agg")

INK, OTHER, BAND = "#4477aa", "#cc6677", 0.2
LOSSES = ("itm", "soft_itm", "focal_itc", "mlm")
"""The losses that have a panel each, in this order."""
CURVES = ("none", "softmask", "softmask-later", "softmask-text", "softmask-negatives")
"""Rows whose losses are drawn: how soft ITM learns on positives alone, and what closes its way out."""
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")


def draw_softmask(found: Mapping[str, Any], stem: Path) -> None:
    """Of each setting the rows' differences in mean recall, and the losses of the rows that `CURVES` names."""
    for name, setting in found["settings"].items():
        rows = setting["rows"]
        gaps = {row: pooled(held).get("difference") for row, held in rows.items()}
        label = f"mean recall less that of {BASELINE}, 95 % interval; diamonds: the paper's, TR R@1 on COCO"
        draw_forest(gaps, paper_gaps(rows), stem.with_name(f"{stem.name}_rows.svg"), name, label)
        draw_curves(rows, stem.with_name(f"{stem.name}_losses.svg"), f"{name}: losses of training")


def draw_tuned(found: Mapping[str, Any], stem: Path, look: Look) -> None:
    """Of each setting the rows' differences in the sum, or in the first figure where there is none."""
    baseline = found["baseline"]
    for name, setting in found["settings"].items():
        rows = setting["rows"]
        figure = next(each for each in (look.total, *look.summed) if each in setting["figures"])
        gaps = {row: held["figures"][figure].get("difference") for row, held in rows.items()}
        said = {row: held["paper"][figure] for row, held in rows.items() if figure in held["paper"]}
        paper = {row: value - said[baseline] for row, value in said.items() if baseline in said and row != baseline}
        label = f"{figure} less that of {baseline}, 95 % interval; diamonds: the paper's"
        draw_forest(gaps, paper, stem.with_name(f"{stem.name}_rows.svg"), name, label)


def draw_forest(
    gaps: Mapping[str, Mapping[str, Any] | None], paper: Mapping[str, float], file: Path, title: str, label: str
) -> None:
    """Differences with their intervals, a line each, thick where zero lies outside; the paper's as hollow diamonds.

    Args:
        gaps: row -> `mean` and `interval` of its difference; rows without one are left out.
        paper: row -> the paper's difference.
        file: an SVG.
        title: stands above.
        label: what is drawn.
    """
    known = {name: gap for name, gap in gaps.items() if gap and gap["interval"]}
    figure, axes = pyplot.subplots(figsize=(7, 1.2 + 0.3 * len(known)))
    for place, (name, gap) in enumerate(reversed(known.items())):
        clear = excludes_zero(gap["interval"])
        axes.plot(gap["interval"], [place, place], color=INK, linewidth=2.5 if clear else 1.0)
        axes.plot(gap["mean"], place, "o", color=INK, markersize=6 if clear else 4)
        if name in paper:
            axes.plot(paper[name], place, "D", color=OTHER, markerfacecolor="none", markersize=6)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(known)), list(reversed(known)))
    axes.set_xlabel(label, fontsize=8)
    axes.set_title(title, fontsize=10)
    _save(figure, file)


def draw_curves(rows: Mapping[str, Any], file: Path, title: str) -> None:
    """A panel for each loss: rows as lines, the mean over seeds; the band is from the least to the largest of them.

    Nothing is drawn where no run has kept its losses.
    """
    held = {name: rows[name]["curves"] for name in CURVES if rows.get(name, {}).get("curves")}
    losses = [loss for loss in LOSSES if any(loss in curves for curves in held.values())]
    if not losses:
        return
    figure, panels = pyplot.subplots(1, len(losses), figsize=(4.2 * len(losses), 3.4), squeeze=False)
    for axes, loss in zip(panels[0], losses, strict=True):
        for colour, (name, curves) in zip(COLOURS, held.items(), strict=False):
            if loss in curves:
                _band(axes, curves["step"]["mean"], curves[loss], name, colour)
        axes.set_title(loss, fontsize=10)
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0.0)
    panels[0][0].legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    _save(figure, file)


def _band(axes: Axes, steps: Sequence[float], curve: Mapping[str, Any], name: str, colour: str) -> None:
    axes.plot(steps, curve["mean"], color=colour, label=name, linewidth=1.2)
    axes.fill_between(steps, curve["least"], curve["most"], color=colour, alpha=BAND, linewidth=0)


def _save(figure: Any, file: Path) -> None:
    with replacing(file) as fresh:
        figure.savefig(fresh, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
