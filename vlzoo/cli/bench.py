"""`vlzoo bench`: measure a run on downstream tasks."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("bench")
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...")
@click.option("--run", required=True, type=click.Path(path_type=Path), help="The run to measure.")
@click.option("--data", metavar="NAME[=FOLDER]", help="Measure on this data; the run's own if not given.")
@click.option("--split", help="The split; test.")
@click.option("--data-root", metavar="DIR", help="Where data lies; VLZOO_DATA, else ./data.")
@click.option("--protocol", default="", help="How to measure; printed with every number.")
@click.option("--k", type=click.IntRange(1), help="Candidates kept by the first stage (retrieval, VQA).")
@click.option("--batch", type=click.IntRange(1), help="Rows of a forward pass; changes no figure.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--device", help="cpu, cuda, cuda:1; a GPU where there is one.")
@click.option("--json", "json_", type=click.Path(path_type=Path), metavar="FILE", help="Write every figure to FILE.")
def command(
    tasks: tuple[str, ...],
    run: Path,
    data: str | None,
    split: str | None,
    data_root: str | None,
    protocol: str,
    k: int | None,
    batch: int | None,
    precision: str,
    device: str | None,
    json_: Path | None,
) -> None:
    """Measure RUN on tasks: retrieval, vqa, nlvr2, snli-ve, or a plugin's.

    RUN is a fine-tuned run, or a pre-trained one with its fine-tunings in RUN/finetune/TASK. Predictions are kept
    as they come: an interrupted bench goes on where it stopped.
    """
    import json

    from vlzoo.bench.report import as_rows
    from vlzoo.bench.run import Request, Wishes, bench, check_request
    from vlzoo.cli.output import table
    from vlzoo.cli.train_options import device_of
    from vlzoo.data.roots import reference
    from vlzoo.resources import write_text, writing

    wishes = Wishes(protocol=protocol, k=k, batch=batch)
    ref = reference(data) if data else None
    scored = []
    requests = [Request(task, run, ref, split, data_root, wishes, precision, device_of(device)) for task in tasks]
    for request in requests:
        check_request(request)
    for request in requests:
        scored.append(bench(request, lambda line: click.echo(line, err=True)))
    table(as_rows(scored))
    for each in scored:
        for note in each.notes:
            click.echo(f"{each.scores[0].task}: {note}")
    if json_:
        rows = [{**vars(score), "notes": each.notes} for each in scored for score in each.scores]
        with writing(json_, "the figures"):
            write_text(json_, json.dumps(rows, indent=1))
        click.echo(f"written to {json_}")
