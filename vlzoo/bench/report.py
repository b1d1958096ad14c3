"""Figures as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlzoo.metrics.figures import Score, Scored
from vlzoo.metrics.metasum import META_SUM, meta_sum

SPLITS = {
    ("coco", "test"): "test-5k",
    ("flickr30k", "test"): "test-1k",
    ("gqa", "testdev"): "test-dev",
    ("snli-ve", "dev"): "val",
}
"""Data and split as vlzoo names them -> the split as papers do."""

HEAD = ["task", "protocol", "metric", "value", "95 % interval", "samples", "data"]


def as_rows(scored: Sequence[Scored]) -> list[list[str]]:
    """One row a figure: task, protocol, metric, value, interval, samples, data."""
    made = [HEAD]
    for score in (score for each in scored for score in each.scores):
        ends = f"{score.interval[0]:.2f} .. {score.interval[1]:.2f}" if score.interval else "-"
        row = [score.task, score.protocol, score.metric, f"{score.value:.2f}", ends, str(score.samples), score.data]
        made.append(row)
    return made


def as_values(scored: Sequence[Scored], of: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One mapping a figure, unrounded, with what it is of.

    Args:
        scored: the figures.
        of: of each of them, what they are of; figures made of others, which come last, have none.
    """
    abouts = [*of, *({} for _ in scored[len(of) :])]
    return [
        {**about, **score.plain(), "notes": each.notes, "missing": each.missing}
        for each, about in zip(scored, abouts, strict=True)
        for score in each.scores
    ]


def with_meta_sum(scored: Sequence[Scored]) -> list[Scored]:
    """The figures, and X-VLM's Meta-Sum below them where all eight of its figures are there."""
    figures = {name: score.value for each in scored for score in each.scores if (name := meta_name(score))}
    if not all(name in figures for name in META_SUM):
        return list(scored)
    row = Score("meta-sum", "meta-sum", "sum of eight", meta_sum(figures), None, len(META_SUM), 0, "", unit="")
    return [*scored, Scored((row,), notes=(", ".join(f"{name} {figures[name]:.2f}" for name in META_SUM),))]


def meta_name(score: Score) -> str:
    """What Meta-Sum calls a figure: `coco TR R@1`; empty where it does not count there."""
    name, split = printed(score.data)
    found = (f"{name} {score.metric}", f"{name} {split} {score.metric}")
    return next((each for each in found if each in META_SUM), "")


def printed(data: str) -> tuple[str, str]:
    """What papers call some data and its split.

    >>> printed("coco/test 3f2a"), printed("nlvr2-albef/test1 77b0")
    (('coco', 'test-5k'), ('nlvr2', 'test-P'))
    """
    name, _, split = data.partition(" ")[0].partition("/")
    name = name.removesuffix("-albef").removesuffix("-karpathy")
    name = {"vqa-v2": "vqa2", "refcoco-plus": "refcoco+"}.get(name, name)
    return name, SPLITS.get((name, split), {"test1": "test-P"}.get(split, split))
