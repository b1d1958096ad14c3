"""Runs in Weights & Biases: `WANDB_PROJECT`, `WANDB_MODE` and its other settings are the user's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from vlzoo import hookimpl
from vlzoo_observers.watched import figures, is_asked_for, needed, recipe_of

VLZOO_API = 1
_open: dict[Path, Any] = {}


@hookimpl
def vlzoo_watch(event: str, run: Path, values: Mapping[str, Any]) -> None:
    """Log the numbers of each event to one run there for each of ours, which a resumed one goes on with."""
    if not is_asked_for("wandb"):
        return
    if run not in _open:
        _open[run] = needed("wandb").init(
            project=os.environ.get("WANDB_PROJECT", "vlzoo"),
            name=run.name,
            id=sha256(str(run.resolve()).encode()).hexdigest()[:16],
            resume="allow",
            dir=str(run),
            config=recipe_of(run),
        )
    found = figures(event, values)
    if event == "score":
        _open[run].summary.update(found)
    elif found:
        _open[run].log(found, step=values["step"])
    if event in ("finish", "score"):
        _open.pop(run).finish()
