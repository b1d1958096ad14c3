"""`vlzoo pretrain`: train a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vlzoo.cli.complete import RECIPES
from vlzoo.cli.output import one_voice
from vlzoo.cli.run_type import RUN
from vlzoo.cli.train_options import TrainOptions, train_checked, train_options


@click.command("pretrain")
@click.argument("recipe", shell_complete=RECIPES)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="The run folder to make.")
@click.option("--from", "start", type=RUN, metavar="RUN", help="Start from this run's weights.")
@train_options
def command(recipe: str, out: Path, **options: Any) -> None:
    """Pre-train RECIPE (a file, or a name such as albef-tiny) into a run folder.

    Ctrl-C saves and stops; --resume goes on to the same weights.
    """
    from vlzoo.config.check import load

    given = TrainOptions(out, **options)
    with one_voice():
        train_checked(load(recipe, sets=given.sets, extra=given.extra), out, given)
