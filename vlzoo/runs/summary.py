"""What a run is, as plain values: what it was made with, how far it came, what was measured. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from vlzoo.config.references import references
from vlzoo.config.tree import Tree
from vlzoo.door.parts import CORE
from vlzoo.door.plugins import door
from vlzoo.errors import PredictionError
from vlzoo.runs.run import Run
from vlzoo.runs.scores import read
from vlzoo.runs.selection import best_of

NOTED = ("recipe", "vlzoo", "started", "command", "seed", "parameters", "steps")
"""What is told of a run's beginning, as it was noted."""


def summary(run: Run) -> dict[str, Any]:
    """What a run is.

    Keys: `run`; those in `NOTED`; `task`; `parts` and `objectives` of the recipe by name; `plugins`, each with the
    version of then and of now (None: not installed); `data`; `step`, the last that is logged; `checkpoints`, their
    steps; `best` by validation; `last`, the last row of the metrics; `figures` of bench, of what was fine-tuned from
    it too; `finetuned`, its tasks.

    Raises:
        CheckpointError: the folder is no run.
        RecipeError: its recipe is no YAML.
    """
    tree, about, rows = run.tree(), run.noted(), run.metrics()
    train = [row for row in rows if "lr" in row]
    best = best_of(run)
    return {
        "run": str(run.folder),
        **{name: about.get(name) for name in NOTED},
        "task": tree.data.get("task"),
        "parts": _parts(tree),
        "objectives": [name for name, value in (tree.data.get("objectives") or {}).items() if isinstance(value, dict)],
        "plugins": _plugins(about),
        "data": about.get("data") or [],
        "step": max((row.get("step", 0) for row in train), default=0),
        "checkpoints": run.saved_steps(),
        "best": None if best is None else {"step": best.step, "metric": best.metric, "value": best.value},
        "last": train[-1] if train else None,
        "figures": [score for each in (run, *run.finetunings()) for score in _figures(each)],
        "finetuned": sorted(each.folder.name for each in run.finetunings()),
    }


def _parts(tree: Tree) -> dict[str, str]:
    """The model's parts, tokenizer and augmentations: place in the recipe -> name."""
    wanted = ("model", "tokenizer", "augment", "rows", "token_mask")
    found = {".".join(map(str, path)): name for _, path, name, _ in references(tree.data) if path[0] in wanted}
    return {place.removeprefix("model."): name for place, name in found.items()}


def _plugins(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Every plugin that was there when the run began, vlzoo's own aside, with what it supplied to the recipe."""
    now = {plugin.owner.dist: plugin.owner.version for plugin in door().plugins if plugin.loaded}
    made = []
    for owner in sorted({str(each) for each in (about.get("plugins") or {}).values()}):
        name, _, version = owner.rpartition(" ")
        if name != CORE:
            parts = [part for part, supplier in (about.get("parts") or {}).items() if supplier == owner]
            made.append({"name": name, "version": version, "now": now.get(name), "parts": parts})
    return made


def _figures(run: Run) -> Iterator[dict[str, Any]]:
    """The figures of bench that lie in a run, those of a task together; what can't be read is left out."""
    kept = ("task", "protocol", "metric", "value", "interval", "unit", "samples", "data")
    for file in sorted(run.bench_folder().glob("*/*/score-*.json")):
        with suppress(PredictionError):
            found = read(run, file)
            for score in found.scores:
                about = {"weights": found.about.get("weights"), "run": str(run.folder)}
                yield {**{name: getattr(score, name) for name in kept}, **about}
