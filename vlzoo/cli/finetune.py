"""`vlzoo finetune`: train a downstream task from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vlzoo.cli.complete import RECIPES, TASKS
from vlzoo.cli.output import one_voice
from vlzoo.cli.run_type import RUN
from vlzoo.cli.train_options import TrainOptions, train_checked, train_options


@click.command("finetune")
@click.argument("task", shell_complete=TASKS)
@click.option(
    "--from", "start", required=True, type=RUN, metavar="RUN", help="The run to start from, or package:PACKAGE/RUN."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="RUN2", help="The run folder to make; RUN/finetune/TASK."
)
@click.option("--recipe", metavar="RECIPE", shell_complete=RECIPES, help="The task's recipe; tasks/TASK.")
@train_options
def command(task: str, recipe: str | None, start: Path, **options: Any) -> None:
    """Fine-tune RUN for TASK: retrieval, vqa, nlvr2, snli-ve, captioning, or a plugin's.

    Model, tokenizer, teacher, augmentation and bench come from RUN; then tasks/TASK.yaml; then what RUN's recipe says
    under `finetune`.
    """
    from vlzoo.config.finetune import task_recipe
    from vlzoo.runs.packaged import place_of_finetuning
    from vlzoo.runs.run import Run

    given, run = TrainOptions(start=start, **options), Run(start)
    with one_voice():
        out = place_of_finetuning(run, task, given.out)
        checked = task_recipe(task, run.checked().tree, recipe=recipe, sets=given.sets, extra=given.extra)
        train_checked(checked, out, given)
