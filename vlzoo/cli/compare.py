"""`vlzoo compare`: runs side by side, with paired tests, and published numbers beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.complete import TASKS
from vlzoo.cli.output import as_json, table
from vlzoo.cli.run_type import RUN
from vlzoo.report.alike import ALLOWED
from vlzoo.screen import window, wrapped

if TYPE_CHECKING:
    from vlzoo.report.compare import Comparison, Entry, Figure, Table
    from vlzoo.report.published import Number


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option("--task", "-t", metavar="TASK", shell_complete=TASKS, help="This task alone; every task if not given.")
@click.option("--published", is_flag=True, help="Published numbers of the same data beside, with their sources.")
@click.option(
    "--allow",
    multiple=True,
    type=click.Choice(ALLOWED),
    help="Compare in spite of this difference, and say so. Another protocol or other data are never compared.",
)
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page, too, that needs no network."
)
@click.option("--json", "json_", is_flag=True, help="Print JSON with every figure unrounded.")
def command(
    runs: tuple[Path, ...],
    task: str | None,
    published: bool,
    allow: tuple[str, ...],
    html: Path | None,
    json_: bool,
) -> None:
    """Compare what `vlzoo bench` measured of RUNs, sample by sample, with the first of them.

    RUN is a run's folder with all that was fine-tuned from it, one fine-tuning (RUN/finetune/vqa), or where the
    predictions of another model lie (bench-MODEL). One RUN is shown alone, with --published.

    Intervals and tests keep samples of one picture (of one sentence in NLVR2) together. A run that was measured
    otherwise, by another protocol, on other data or by another choice of checkpoint, is named and not compared.
    """
    from vlzoo.errors import VlzooError
    from vlzoo.files import check_place
    from vlzoo.report.compare import compare
    from vlzoo.report.published import problems
    from vlzoo.report.subjects import subjects

    if len(runs) == 1 and not published:
        raise VlzooError(f"{str(runs[0])!r} is one run", fix="name another to compare it with, or give --published")
    if html is not None:
        check_place(html, "the page")
    found = compare(subjects([str(run) for run in runs]), task, allow)
    beside = [_beside(each) for each in found.tables] if published else [[] for _ in found.tables]
    if html is not None and found.tables:
        _write(html, found, beside, published)
    if json_:
        as_json(values(found, beside))
    else:
        show(found, beside, published)
    for problem in problems() if published else ():
        click.echo(problem, err=True)
    if not found.tables:
        raise VlzooError("nothing could be compared", fix=_why_nothing(found))
    if html is not None:
        click.echo(f"written to {html}", err=json_)


def _beside(found: Table) -> list[Number]:
    from vlzoo.report.published import numbers_for

    return numbers_for(found.data, [figure.metric for figure in found.figures])


def _write(file: Path, found: Comparison, beside: Sequence[Sequence[Number]], published: bool) -> None:
    from vlzoo.files import write_text, writing
    from vlzoo.report.page import page

    with writing(file, "the page"):
        write_text(file, page(found, beside, published))


def values(found: Comparison, beside: Sequence[Sequence[Number]]) -> dict[str, Any]:
    """Everything as plain data: tables with their published numbers, what was flagged, how many tests were made."""
    from dataclasses import asdict

    plain = asdict(found)
    for each, numbers in zip(plain["tables"], beside, strict=True):
        each["published"] = [asdict(number) for number in numbers]
    return plain


def show(found: Comparison, beside: Sequence[Sequence[Number]], published: bool) -> None:
    """Print the tables, what was not compared, and what the numbers mean."""
    from vlzoo.report.words import alone, explained, heading, where_none

    for each, numbers in zip(found.tables, beside, strict=True):
        click.echo(click.style(heading(each), bold=True))
        table([_head(each), *(row for figure in each.figures for row in _rows(figure, each))], indent=2)
        for note in each.notes:
            _say(note, indent=2)
        if published:
            _show_published(numbers, where_none(each))
        click.echo()
    for flagged in found.flagged:
        click.echo(str(flagged))
    for line in alone(found):
        _say(line)
    for line in explained(found):
        _say(line)


def _head(of: Table) -> list[str]:
    tests = [f"- {of.runs[0]}", "95 % interval", "p", "p (Holm)", "test"] if len(of.runs) > 1 else []
    return ["metric", "run", "value", "95 % interval", "samples", *tests]


def _rows(figure: Figure, of: Table) -> list[list[str]]:
    from vlzoo.report.words import ends, metric_name

    made = []
    for number, entry in enumerate(figure.entries):
        name = "" if number else metric_name(of, figure)
        row = [name, entry.run, f"{entry.value:.2f}", ends(entry.interval), f"{entry.samples:,}"]
        made.append([*row, *_tests(entry)] if len(of.runs) > 1 else row)
    return made


def _tests(entry: Entry) -> list[str]:
    from vlzoo.report.words import ends, p_text

    if entry.difference is None or entry.p_value is None or entry.p_holm is None:
        return ["", "", "", "", entry.why_not]
    made = [f"{entry.difference:+.2f}", ends(entry.difference_interval, "+")]
    return [*made, p_text(entry.p_value), p_text(entry.p_holm), entry.test]


def _show_published(numbers: Sequence[Number], none: str) -> None:
    from vlzoo.report.published import in_rows
    from vlzoo.report.words import notes_of

    if not numbers:
        _say(none, indent=2)
        return
    click.echo("  published")
    table(in_rows(numbers), indent=2, wrap=0)
    for note in notes_of(numbers):
        _say(note, indent=2)


def _say(line: str, indent: int = 0) -> None:
    click.echo("\n".join(" " * indent + each for each in wrapped(line, window() - indent)))


def _why_nothing(found: Comparison) -> str:
    if found.flagged:
        return "measure the runs alike, as said above"
    tasks = "; ".join(f"{run}: {task}" for task, run in found.unmeasured.items())
    return f"measure them on the same task by `vlzoo bench`; now {tasks}"
