"""`vlzoo finetune`: train a downstream task from a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("finetune")
@click.argument("task")
@click.option(
    "--from", "start", required=True, type=click.Path(path_type=Path), metavar="RUN", help="The run to start from."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="RUN2", help="The run folder to make; RUN/finetune/TASK."
)
@click.option("--recipe", metavar="RECIPE", help="The task's recipe; tasks/TASK.")
@click.option("--data-root", metavar="DIR", help="Where data lies; VLZOO_DATA, else ./data.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value: --set train.lr=1e-4.")
@click.option("--with", "extra", multiple=True, metavar="OBJECTIVE", help="Add an objective.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@click.option("--device", help="cpu, cuda, cuda:1; a GPU where there is one.")
def command(
    task: str,
    start: Path,
    out: Path | None,
    recipe: str | None,
    data_root: str | None,
    sets: tuple[str, ...],
    extra: tuple[str, ...],
    resume: bool,
    device: str | None,
) -> None:
    """Fine-tune RUN for TASK: retrieval, vqa, nlvr2, snli-ve, or a plugin's.

    Model, tokenizer and teacher come from RUN; then tasks/TASK.yaml; then what RUN's recipe says under `finetune`.
    """
    from vlzoo.cli.train_options import device_of, train_checked
    from vlzoo.config.finetune import task_recipe

    checked = task_recipe(task, start, recipe=recipe, sets=sets, extra=extra)
    train_checked(checked, out or start / "finetune" / task, data_root, start, resume, device_of(device))
