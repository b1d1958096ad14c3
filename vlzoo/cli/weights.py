"""`vlzoo weights`: convert foreign checkpoints, export runs, merge shards, look into files, fetch from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vlzoo.cli.complete import ADAPTERS
from vlzoo.cli.output import as_json, bytes_of, table
from vlzoo.cli.run_type import RUN
from vlzoo.config.tree import assignment
from vlzoo.errors import CheckpointError, VlzooError, did_you_mean

SUBCOMMANDS = ("convert", "export", "merge", "show", "list", "fetch")


class WeightsGroup(click.Group):
    """Sub-commands, with the nearest name for one that there is not."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The sub-command called `cmd_name`."""
        found = super().get_command(ctx, cmd_name)
        if found is None:
            raise VlzooError(f"no command called 'weights {cmd_name}'", fix=did_you_mean(cmd_name, SUBCOMMANDS))
        return found


@click.group(cls=WeightsGroup)
def command() -> None:
    """Convert foreign checkpoints, export runs, merge shards, look into files, fetch from the hub."""


@command.command("convert")
@click.argument("adapter", shell_complete=ADAPTERS)
@click.argument("file")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The run folder to make.")
@click.option("--task", metavar="KIND", help="Refuse a checkpoint of another kind: pretrain, retrieval, vqa, ...")
@click.option("--resolution", type=int, metavar="N", help="Side of the pictures; position tables are resized.")
@click.option("--vocab", metavar="FILE", help="vocab.txt, or package:NAME; else what lies beside, or BERT's.")
@click.option("--answers", type=click.Path(path_type=Path), metavar="FILE", help="VQA's answer list, a JSON list.")
@click.option("--origin", default="", metavar="TEXT", help="Who trained the weights, for the card.")
@click.option("--licence", default="", metavar="TEXT", help="Their licence, for the card.")
@click.option("--allow-nonfinite", is_flag=True, help="Convert weights that hold NaN or infinite numbers; it is noted.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the adapter: heads=4.")
def convert_(options: tuple[str, ...], **given: Any) -> None:
    """Turn FILE into a run folder, by ADAPTER (albef, clip, blip, or a plugin's: `vlzoo list adapter`).

    FILE is a path, also of a folder that transformers wrote, or hf:OWNER/NAME/FILE@COMMIT from the local cache. The
    run works like any other: vlzoo finetune, bench, explain. Prints what was loaded, what is missing, what was
    unexpected and what was resized.
    """
    from vlzoo.weights.convert import Conversion, convert

    said = {name: value for name, value in given.items() if value is not None}
    wanted = Conversion(**said, options=dict(assignment(each, "--option") for each in options))
    card = convert(wanted, click.echo)
    click.echo(f"{wanted.out}: {card.parameters:,} parameters, {card.kind}, {card.resolution[1]} px")


@command.command("export")
@click.argument("run", type=RUN)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to make.")
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="Of its fine-tunings this one; all if not given.")
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
@click.option("--most", metavar="SIZE", help="Refuse a file of weights that is larger: 5MB.")
@click.option("--licence", default="", metavar="TEXT", help="Of the weights, for the card.")
def export_(most: str | None, **given: Any) -> None:
    """Write the weights of RUN that are read after training, its tokenizer and a card into a run's folder.

    Teacher, optimiser, queues, logs and predictions stay behind; figures that `vlzoo bench` found go into the card.
    What was fine-tuned in RUN goes along. The folder fine-tunes, measures and explains like any other.
    """
    from vlzoo.weights.export import Export, export

    given["tasks"] = given["tasks"] or None
    for card in export(Export(**given, most=None if most is None else bytes_of(most, "--most"))):
        click.echo(f"{given['out']}: {card.parameters:,} parameters, {card.kind}, {card.precision}")


@command.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON: every card.")
def list_(json_: bool) -> None:
    """Name the runs that installed packages carry, with what each is for, its parameters and its licence."""
    from dataclasses import asdict

    from vlzoo.runs.card import card_of
    from vlzoo.runs.packaged import carriers, packaged

    found = []
    for package in carriers():
        try:
            found += [(run, card_of(run.place)) for run in packaged(package)]
        except CheckpointError as error:
            click.echo(f"! {error}", err=True)
    if json_:
        as_json([{"reference": run.reference, "version": run.version, **asdict(card)} for run, card in found])
        return
    if not found:
        click.echo("no installed package carries a run; pip install vlzoo-tiny brings small ones")
        return
    table([[run.reference, ", ".join(card.tasks), f"{card.parameters:,}", card.licence] for run, card in found])


@command.command("merge")
@click.argument("run", type=click.Path(path_type=Path))
def merge_(run: Path) -> None:
    """Write the checkpoints of RUN that are in shards (train.shard) as plain safetensors in their place.

    A run that trains just now is refused. vlzoo bench, finetune and explain read shards, too, and more slowly.
    """
    from vlzoo.weights.merge import merge

    merge(run, click.echo)


@command.command("show")
@click.argument("path", type=RUN)
def show(path: Path) -> None:
    """What a weights file or a run holds: its card, its modules, and which adapter knows it.

    PATH is a file, a folder, or a run that a package carries, package:PACKAGE/RUN.
    """
    from vlzoo.weights.look import describe

    for line in describe(path):
        click.echo(line)


@command.command("fetch")
@click.argument("reference")
@click.option("--online", is_flag=True, help="Go to the network; without it the local cache alone is searched.")
@click.option("--sha256", metavar="HEX", help="What the file must hash to.")
def fetch_(reference: str, online: bool, sha256: str | None) -> None:
    """Bring hf:OWNER/NAME/FILE@COMMIT into the local cache, check it, and print its path."""
    from vlzoo.files import sha256_of
    from vlzoo.weights.hub import fetch, parse

    file = fetch(parse(reference), online=online, sha256=sha256)
    click.echo(f"{file}\nsha256: {sha256_of(file)}")
