"""`vlzoo score`: score predictions made by anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.complete import TASKS
from vlzoo.cli.output import as_json, table
from vlzoo.cli.task_options import TaskCommand

if TYPE_CHECKING:
    from vlzoo.metrics.figures import Score, Scored

_FILE = click.Path(path_type=Path)


@click.command("score", cls=TaskCommand)
@click.argument("words", nargs=-1, required=True, metavar="TASK", type=click.UNPROCESSED, shell_complete=TASKS)
@click.option("--predictions", "-g", required=True, type=_FILE, metavar="FILE", help="Predictions; gzip is fine.")
@click.option("--annotations", "-f", type=_FILE, metavar="FILE", help="Annotations in their official format.")
@click.option("--data", metavar="NAME[=FOLDER]", help="A data source in place of a file of annotations.")
@click.option("--data-split", metavar="SPLIT", help="Its split; test.")
@click.option("--data-root", metavar="DIR", help="Where data lies; VLZOO_DATA, else ./data.")
@click.option("--protocol", "-p", default="", help="How to measure; the task's default if not given.")
@click.option("--allow-missing", is_flag=True, help="Missing predictions count as wrong, and are counted.")
@click.option("--json", "json_", is_flag=True, help="Print JSON with every figure unrounded.")
def command(words: tuple[str, ...], json_: bool, **given: Any) -> None:
    """Score a file of predictions against a file of annotations, by the same code that `vlzoo bench` scores with.

    TASK is any of `vlzoo list task`. Rows of predictions, as JSON, JSON lines, csv or tsv:

    \b
    vqa         {"question_id", "answer"}: the server's results format
    captioning  {"image_id", "caption"}: COCO's results format
    gqa         {"questionId", "prediction"}
    nlvr2       {"identifier", "prediction"}, or a table of both without names
    nlvr        the same with "image": k, or `dev-1572-0-3.png,true`
    snli-ve     {"identifier": pairID, "prediction": class}, or such a table
    grounding   {"ref_id" or "sent_id", "box": [x, y, w, h]}
    hard-negatives, winoground    {"name", "scores": of the right caption first; of each picture}
    vsr         {"name", "scores"} or {"name", "prediction": true}
    zero-shot   {"name", "prediction": label} or {"name", "top": labels}
    retrieval   npz with scores [images, texts] and image_of_text [texts]
    others      {"name": sample, ...} as the task predicts them; annotations in vlzoo's own line format, or --data
    """
    from vlzoo.bench.score import score_files
    from vlzoo.data.predictions import Files
    from vlzoo.door.plugins import registry
    from vlzoo.errors import VlzooError

    named = command.options_of(words)
    if len(named) != 1:
        raise VlzooError(f"one task is scored at a time, not {' and '.join(named)}", fix="vlzoo list task")
    if given["data"] and given["annotations"]:
        raise VlzooError("predictions are held against one thing", fix="give --annotations FILE or --data NAME")
    (name, options), *_ = named.items()
    task = registry().build("task", name, protocol=given["protocol"], **options)
    files = Files(given["predictions"], given["annotations"], given["allow_missing"], _source(given))
    scored = score_files(task, files)
    if json_:
        as_json(report(scored))
    else:
        _show(scored)


def _source(given: dict[str, Any]) -> Any:
    """The data source that `--data` names, opened without pictures where it can be; None where there is none."""
    if not given["data"]:
        return None
    from vlzoo.data.roots import open_source, reference
    from vlzoo.door.options import schema_of
    from vlzoo.door.plugins import registry

    ref = reference(given["data"])
    known = schema_of(registry().find("data", ref.part)).names
    changes = {"pictures": False} if "pictures" in known else {}
    split = given["data_split"] or ("test" if "split" in known else None)
    return open_source(ref, given["data_root"], split=split, **changes)


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
