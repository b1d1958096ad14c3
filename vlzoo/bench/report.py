"""Figures as a table."""

from __future__ import annotations

from collections.abc import Sequence

from vlzoo.bench.score_base import Scored

HEAD = ["task", "protocol", "metric", "value", "95 % interval", "samples", "data"]


def as_rows(scored: Sequence[Scored]) -> list[list[str]]:
    """One row a figure: task, protocol, metric, value, interval, samples, data."""
    made = [HEAD]
    for score in (score for each in scored for score in each.scores):
        ends = f"{score.interval[0]:.2f} .. {score.interval[1]:.2f}" if score.interval else "-"
        row = [score.task, score.protocol, score.metric, f"{score.value:.2f}", ends, str(score.samples), score.data]
        made.append(row)
    return made
