"""`vlzoo pretrain`: train a recipe."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("pretrain")
@click.argument("recipe")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="The run folder to make.")
@click.option("--data-root", metavar="DIR", help="Where data lies; VLZOO_DATA, else ./data.")
@click.option("--from", "start", type=click.Path(path_type=Path), metavar="RUN", help="Start from this run's weights.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value: --set train.lr=1e-4.")
@click.option("--with", "extra", multiple=True, metavar="OBJECTIVE", help="Add an objective.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@click.option("--device", help="cpu, cuda, cuda:1; a GPU where there is one.")
def command(
    recipe: str,
    out: Path,
    data_root: str | None,
    start: Path | None,
    sets: tuple[str, ...],
    extra: tuple[str, ...],
    resume: bool,
    device: str | None,
) -> None:
    """Pre-train RECIPE (a file, or a name such as albef-tiny) into a run folder.

    Ctrl-C saves and stops; --resume goes on to the same weights.
    """
    from vlzoo.cli.train_options import device_of, train_checked
    from vlzoo.config.check import load

    train_checked(load(recipe, sets=sets, extra=extra), out, data_root, start, resume, device_of(device))
