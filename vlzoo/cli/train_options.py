"""What `pretrain` and `finetune` share: their options, and what they say at the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vlzoo.cli.complete import OBJECTIVES
from vlzoo.processes import here

if TYPE_CHECKING:
    from vlzoo.config.check import Checked

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class TrainOptions:
    """What was given on the command line.

    Attributes:
        out: the run folder; None: where the command puts it.
        start: a run to start from.
        data_root: where data lies.
        sets: `--set` changes.
        extra: `--with` objectives.
        resume: go on where an interrupted run stopped.
        overwrite: delete the run that is there.
        device: its name; None: a GPU where there is one.
    """

    out: Path | None
    start: Path | None
    data_root: str | None
    sets: tuple[str, ...]
    extra: tuple[str, ...]
    resume: bool
    overwrite: bool
    device: str | None


def train_options(command: Command) -> Command:
    """Give a command the options that every training takes."""
    options = (
        click.option("--data-root", metavar="DIR", help="Where data lies; VLZOO_DATA, else ./data."),
        click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value: --set train.lr=1e-4."),
        click.option(
            "--with", "extra", multiple=True, metavar="OBJECTIVE", shell_complete=OBJECTIVES, help="Add an objective."
        ),
        click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped."),
        click.option(
            "--overwrite",
            is_flag=True,
            help="Delete the run that is there, with all that was fine-tuned and measured from it, and train anew.",
        ),
        click.option("--device", help="cpu, cuda, cuda:1; a GPU where there is one."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def train_checked(checked: Checked, out: Path, given: TrainOptions) -> None:
    """Train, and say what came of it.

    Raises:
        VlzooError: what was given does not go together, or anything that `train` refuses.
    """
    if here().of > 1:
        # Or each process is told at its first step that the search for unused weights might be left out.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from vlzoo.calls import job_of
    from vlzoo.models.precision import device_of
    from vlzoo.runs.run import Run
    from vlzoo.train.launch import train

    leads = here().leads

    def say(line: str) -> None:
        if leads:
            click.echo(line, err=True)

    device, again = device_of(given.device), {"resume": given.resume, "overwrite": given.overwrite}
    job = job_of(checked, out, given.data_root, given.start, **again, device=device, say=say)
    try:
        run = train(job)
    except KeyboardInterrupt as stopped:
        if stopped.args:
            then = "go on with --resume" if Run(out).checkpoints() else "nothing was saved yet"
            say(f"{out}: stopped by {stopped.args[0]}; {then}")
        raise
    if not leads:
        return
    if spikes := run.spikes.rows():
        say(f"{out}: {len(spikes)} losses stood far above their running mean: {run.spikes.file} says which")
    rows = [row for row in run.metrics() if "lr" in row]
    last = {name: value for name, value in (rows[-1] if rows else {}).items() if isinstance(value, float)}
    shown = ", ".join(
        f"{name} {value:.3f}"
        for name, value in last.items()
        if name not in ("time", "lr", "samples_per_s", "memory_gb")
    )
    click.echo(f"{out}: trained to step {rows[-1]['step'] if rows else 0}; {shown}")
