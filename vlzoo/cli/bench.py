"""`vlzoo bench`: measure a run, or a model of another family, on downstream tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.complete import TASKS
from vlzoo.cli.output import bytes_of, one_voice
from vlzoo.cli.run_type import RUN
from vlzoo.cli.task_options import TaskCommand, set_options, split_sets
from vlzoo.processes import here

if TYPE_CHECKING:
    from vlzoo.bench.request import Request
    from vlzoo.bench.run import Measured

GO_ON = "start it again, with as many processes as there are now: it goes on where it stopped"


@click.command("bench", cls=TaskCommand)
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...", type=click.UNPROCESSED, shell_complete=TASKS)
@click.option("--run", type=RUN, metavar="RUN", help="The run to measure, or package:PACKAGE/RUN.")
@click.option("--model", metavar="FAMILY:PLACE", help="A model of another family in place of a run: hf:FOLDER.")
@click.option(
    "--checkpoint",
    metavar="last|best|STEP",
    default="",
    help="Which checkpoint of the run; the best where it validated while it was trained, else the last.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where predictions and figures go; RUN, or bench-MODEL.")
@click.option("--data", metavar="NAME[=FOLDER]", help="Measure on this data, or file; the run's own if not given.")
@click.option("--split", help="The split; test.")
@click.option("--data-root", metavar="DIR", help="Where data lies; VLZOO_DATA, else ./data.")
@click.option("--protocol", "-p", default="", help="How to measure; printed with every number.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the data: data.file=a.csv; of one task: bench.TASK.k=8.",
)
@click.option("--batch", type=click.IntRange(1), help="Rows of a forward pass; changes no figure.")
@click.option("--memory", default="2GB", show_default=True, help="Bytes that features held for speed may take.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--device", help="cpu, cuda, cuda:1; a GPU where there is one.")
@click.option("--shards", type=click.IntRange(1), default=1, show_default=True, help="Processes that share the work.")
@click.option("--shard", metavar="i/n", help="Predict this share alone: for processes on several machines.")
@click.option("--allow-missing", is_flag=True, help="Samples whose picture is missing count as wrong.")
@click.option("--allow-train-data", is_flag=True, help="Measure data that the run was trained on, and say so.")
@click.option("--keep-features", is_flag=True, help="Leave the features of pictures and texts on disk.")
@click.option("--submission", type=click.Path(path_type=Path), metavar="FILE", help="Write the server's format.")
@click.option("--json", "json_", is_flag=True, help="Print every figure as JSON, unrounded, in place of the table.")
@click.option("--json-file", type=click.Path(path_type=Path), metavar="FILE", help="Write that JSON to FILE, besides.")
def command(tasks: tuple[str, ...], **given: Any) -> None:
    """Measure a run on TASKs: `vlzoo list task` shows them, `vlzoo show TASK` what each takes.

    RUN is a fine-tuned run, or a pre-trained one with its fine-tunings in RUN/finetune/TASK. Predictions are kept
    as they come: an interrupted bench goes on where it stopped. Those of a package's run lie in the cache.

    `torchrun --standalone --nproc-per-node N -m vlzoo bench TASK --model run:RUN` shares the work among N GPUs (or
    processes, with --device cpu): the same predictions and figures, bit for bit. (torchrun takes --run for its own.)
    """
    with one_voice():
        measure_all(tasks, given)


def measure_all(tasks: tuple[str, ...], given: dict[str, Any]) -> None:
    """Measure every task that was named, and show the figures; of several processes the leading one shows them.

    Raises:
        VlzooError: anything a user can mend.
    """
    from vlzoo.bench.run import measure
    from vlzoo.bench.shards import spawn
    from vlzoo.errors import VlzooError
    from vlzoo.models.precision import device_of
    from vlzoo.train.engines import make_engine

    requests = requests_of(tasks, given)
    if (started := here().of) > 1 and (given["shards"] > 1 or given["shard"]):
        fix = "leave it out: they share the work already"
        raise VlzooError(
            f"{'--shard' if given['shard'] else '--shards'}, and {started} processes were started", fix=fix
        )
    engine = make_engine(device_of(given["device"]), go_on=GO_ON)
    with engine.answering():
        with engine.first():
            check(requests, given)
        if given["shards"] > 1:
            spawn(arguments(tasks, given), given["shards"], _say)
        measured = [measure(request, _say, engine) for request in requests]
        if engine.share.leads:
            show(measured, given)


def check(requests: list[Request], given: dict[str, Any]) -> None:
    """Look at all that was asked for, before the first task is measured.

    Raises:
        VlzooError: something can't be measured, or written.
    """
    from vlzoo.bench.request import check_request
    from vlzoo.errors import VlzooError
    from vlzoo.files import check_place

    for request in requests:
        check_request(request)
    for name, what in (("json_file", "the figures"), ("submission", "the submission")):
        if given[name] is not None:
            check_place(given[name], what)
    if given["submission"] is not None and len(requests) > 1:
        raise VlzooError("--submission writes the answers of one task", fix="bench one task at a time")


def requests_of(words: tuple[str, ...], given: dict[str, Any]) -> list[Request]:
    """A request for each task named.

    Raises:
        VlzooError: options that contradict each other, or a value of the wrong form.
    """
    from vlzoo.bench.request import Request
    from vlzoo.bench.shards import parse_share
    from vlzoo.data.roots import reference
    from vlzoo.errors import VlzooError
    from vlzoo.models.precision import device_of
    from vlzoo.task import Effort

    run, model = given["run"], given["model"]
    if (run is None) == (model is None):
        raise VlzooError("give --run RUN or --model hf:FOLDER" + (", not both" if run else ""))
    options = command.options_of(_without_file(words, given["json_"]))
    data_sets, task_sets = split_sets(given["sets"])
    sets = set_options(list(options), task_sets)
    data = reference(given["data"]) if given["data"] else None
    protocol = {"protocol": given["protocol"]} if given["protocol"] else {}
    share = parse_share(given["shard"]) if given["shard"] else (0, 1)
    return [
        Request(
            task,
            f"run:{run}" if run is not None else model,
            given["out"],
            {**protocol, **options[task], **sets[task]},
            data,
            given["split"],
            given["data_root"],
            given["batch"],
            Effort(memory=bytes_of(given["memory"], "--memory"), share=share),
            given["precision"],
            device_of(given["device"]),
            given["allow_missing"],
            given["keep_features"],
            given["submission"] is not None,
            given["checkpoint"],
            data_sets,
            given["allow_train_data"],
        )
        for task in options
    ]


def _without_file(words: tuple[str, ...], json_: bool) -> tuple[str, ...]:
    """The words, unless one is the file that `--json` took once.

    Raises:
        VlzooError: it is; says what takes a file.
    """
    from vlzoo.errors import VlzooError

    files = [word for word in words if word.endswith(".json") and not word.startswith("-")]
    if json_ and files:
        raise VlzooError(
            f"--json prints to standard output, and takes no file: {files[0]}", fix=f"--json-file {files[0]}"
        )
    return words


def show(measured: list[Measured], given: dict[str, Any]) -> None:
    """Print the figures and their notes, or them as JSON; write them where that was asked for."""
    import json

    from vlzoo.bench.report import as_rows, as_values, with_meta_sum
    from vlzoo.cli.output import as_json, json_text, table
    from vlzoo.files import write_text, writing

    whole = [(each.scored, each.of) for each in measured if each.scored is not None]
    scored = with_meta_sum([figures for figures, _ in whole])
    values = as_values(scored, [of for _, of in whole])
    if given["json_"]:
        as_json(values)
    elif scored:
        table(as_rows(scored))
    for task, note in [(each.scores[0].task, note) for each in scored for note in each.notes]:
        if not given["json_"]:
            click.echo(f"{task}: {note}")
    if (file := given["json_file"]) is not None:
        with writing(file, "the figures"):
            write_text(file, json_text(values))
        click.echo(f"written to {file}", err=given["json_"])
    if (file := given["submission"]) is not None:
        answers = [row for each in measured for row in each.task.submission(each.source, each.rows)]
        with writing(file, "the submission"):
            write_text(file, json.dumps(answers))
        click.echo(f"{len(answers)} answers in the server's format are written to {file}", err=given["json_"])


def arguments(words: tuple[str, ...], given: dict[str, Any]) -> list[str]:
    """The command line of a process that takes a share of this one's work."""
    own = ("shards", "shard", "json_", "json_file", "submission", "sets", "keep_features")
    made = ["bench", *words, "--keep-features", *(word for change in given["sets"] for word in ("--set", change))]
    for name, value in given.items():
        if name in own or value in (None, "", False):
            continue
        made += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return made


def _say(line: str) -> None:
    click.echo(line, err=True)
