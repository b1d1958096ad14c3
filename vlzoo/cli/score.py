"""`vlzoo score`: score predictions made by anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.output import as_json, table

if TYPE_CHECKING:
    from vlzoo.bench.score_base import Scored
    from vlzoo.types import Score

_FILE = click.Path(path_type=Path)


@click.command("score")
@click.argument("task")
@click.option("--predictions", "-g", required=True, type=_FILE, metavar="FILE", help="Predictions; gzip is fine.")
@click.option("--annotations", "-f", type=_FILE, metavar="FILE", help="Annotations in their official format.")
@click.option("--protocol", "-p", default="", help="How to measure; the task's default if not given.")
@click.option("--questions", type=_FILE, metavar="FILE", help="VQA: answer types; grounding: instances.json.")
@click.option("--subset", "subsets", multiple=True, type=_FILE, metavar="FILE", help="NLVR2: balanced, unbalanced.")
@click.option("--split", "splits", multiple=True, help="Grounding: score these splits only.")
@click.option("--ties", default="", metavar="RULE", help="Retrieval: strict (a tie is a miss) or argsort.")
@click.option("--karpathy", default="", metavar="NAME", help="Retrieval: assert the sizes for coco or flickr30k.")
@click.option("--allow-missing", is_flag=True, help="Missing predictions count as wrong, and are counted.")
@click.option("--json", "json_", is_flag=True, help="Print JSON with every figure unrounded.")
def command(task: str, json_: bool, **choices: Any) -> None:
    """Score a file of predictions against a file of annotations.

    TASK is one of retrieval, vqa, gqa, nlvr2, nlvr (version 1), snli-ve, grounding.

    \b
    vqa         {"question_id", "answer"}: the server's results format
    gqa         {"questionId", "prediction"}
    nlvr2       {"identifier", "prediction"}; nlvr adds "image": k
    snli-ve     {"identifier": pairID, "prediction": class}
    grounding   {"ref_id", "box": [x, y, w, h]}
    retrieval   npz with scores [images, texts] and image_of_text [texts]
    """
    from vlzoo.bench.score import score_files
    from vlzoo.bench.score_base import Inputs

    scored = score_files(task, Inputs(**choices))
    if json_:
        as_json(report(scored))
    else:
        _show(scored)


def report(scored: Scored) -> dict[str, Any]:
    """Every figure, unrounded, under its metric's name."""
    main = scored.scores[0]
    figures = {score.metric: _figure(score) for score in scored.scores}
    about = {"task": main.task, "protocol": main.protocol, "data": main.data}
    return {**about, "missing": scored.missing, "notes": list(scored.notes), "figures": figures}


def _figure(score: Score) -> dict[str, Any]:
    return {
        "protocol": score.protocol,
        "value": score.value,
        "unit": score.unit,
        "interval": score.interval,
        "samples": score.samples,
        "clusters": score.clusters,
        **score.detail,
    }


def _show(scored: Scored) -> None:
    rows = [["metric", "protocol", "value", "95 % interval", "samples"]]
    table(rows + [_row(score) for score in scored.scores])
    click.echo(f"data: {scored.scores[0].data}")
    for note in scored.notes:
        click.echo(note)
    if scored.missing:
        click.echo(f"missing: {scored.missing} predictions, counted as wrong")


def _row(score: Score) -> list[str]:
    ends = f"{score.interval[0]:.2f} .. {score.interval[1]:.2f}" if score.interval else "-"
    return [score.metric, score.protocol, f"{score.value:.2f}", ends, str(score.samples)]
