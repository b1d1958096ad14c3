"""The recipe of a fine-tuning: the run's model, the task's recipe, and the run's own wishes for the task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlzoo.config.check import Checked, check
from vlzoo.config.compose import amend, find_file, overlay, read_extended
from vlzoo.config.tree import Tree
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError

INHERITED = ("model", "tokenizer", "teacher", "augment", "bench")
"""Sections a fine-tuning takes from the run it starts from."""


def task_recipe(
    task: str, start: Path, *, recipe: str | None = None, sets: Sequence[str] = (), extra: Sequence[str] = ()
) -> Checked:
    """The checked recipe of fine-tuning `start` for `task`.

    Args:
        task: a registered task.
        start: the run to start from.
        recipe: the task's recipe; None: what the run's `finetune.TASK.extends` names, else `tasks/TASK`.
        sets: `--set` changes.
        extra: `--with` objectives.

    Raises:
        UnknownName: no such task or recipe.
        CheckpointError: `start` is no run.
        RecipeError: holds every mistake.
    """
    registry().find("task", task)
    kept = start / "recipe.yaml"
    if not kept.is_file():
        what = "there is no such folder" if not start.exists() else "is not a run: it has no recipe.yaml"
        raise CheckpointError(f"{str(start)!r}: {what}", fix="give the folder that `vlzoo pretrain --out` made")
    run = read_extended(kept, ())
    tree = _section(run, {name: run.data[name] for name in INHERITED if run.data.get(name) is not None})
    wishes = dict(run.data.get("finetune", {}).get(task) or {})
    named = wishes.pop("extends", None)
    name = recipe or named or f"tasks/{task}"
    overlay(tree, read_extended(find_file(name), ()))
    overlay(tree, Tree(wishes, {(): f"{kept} (finetune.{task})"}))
    tree.data["task"] = task
    amend(tree, sets, extra, name)
    return check(tree, name)


def _section(run: Tree, data: dict[str, Any]) -> Tree:
    return Tree(data, {path: origin for path, origin in run.origins.items() if path and path[0] in data})
