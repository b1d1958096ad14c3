"""The recipe of a fine-tuning: the run's model, the task's recipe, and what the run asks for under `finetune`."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from vlzoo.config.check import Checked, check
from vlzoo.config.compose import amend, find_file, overlay, read_extended
from vlzoo.config.tree import Tree
from vlzoo.door.plugins import registry

INHERITED = ("model", "tokenizer", "teacher", "augment", "bench")
"""Sections a fine-tuning takes from its run; but not `bench.data`: it may be captions, where the task has questions."""


def task_recipe(
    task: str, run: Tree, *, recipe: str | None = None, sets: Sequence[str] = (), extra: Sequence[str] = ()
) -> Checked:
    """The checked recipe of fine-tuning a run for `task`.

    Args:
        task: a registered task.
        run: the recipe of the run to start from.
        recipe: the task's recipe; None: what the run's `finetune.TASK.extends` names, else `tasks/TASK`.
        sets: `--set` changes.
        extra: `--with` objectives.

    Raises:
        UnknownName: no such task or recipe.
        RecipeError: holds every mistake.
    """
    registry().find("task", task)
    tree = _inherited(run)
    changes = dict(run.data.get("finetune", {}).get(task) or {})
    named = changes.pop("extends", None)
    name = recipe or named or f"tasks/{task}"
    overlay(tree, read_extended(find_file(name), ()))
    place = ("finetune", task)
    overlay(tree, Tree(changes, {path[2:]: origin for path, origin in run.origins.items() if path[:2] == place}))
    tree.data["task"] = task
    amend(tree, sets, extra, name)
    return check(tree, name)


def _inherited(run: Tree) -> Tree:
    # Copied whole: what is laid over it must not change the run's own recipe.
    data = {name: deepcopy(run.data[name]) for name in INHERITED if run.data.get(name) is not None}
    if isinstance(data.get("bench"), dict):
        data["bench"] = {key: value for key, value in data["bench"].items() if key != "data"}
    kept = {path: origin for path, origin in run.origins.items() if path and path[0] in data}
    return Tree(data, {path: origin for path, origin in kept.items() if path[:2] != ("bench", "data")})
