"""Runs in trackio, which keeps them on this machine: `trackio show` opens them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlzoo import hookimpl
from vlzoo_observers.watched import figures, is_asked_for, needed, recipe_of

VLZOO_API = 1
_open: dict[Path, Any] = {}


@hookimpl
def vlzoo_watch(event: str, run: Path, values: Mapping[str, Any]) -> None:
    """Log the numbers of each event to the run of the folder's name, which a resumed one goes on with."""
    if not is_asked_for("trackio"):
        return
    if run not in _open:
        project = os.environ.get("TRACKIO_PROJECT", "vlzoo")
        _open[run] = needed("trackio").init(
            project=project, name=run.name, resume="allow", config=recipe_of(run), embed=False
        )
    if found := figures(event, values):
        _open[run].log(found, step=values.get("step"))
    if event in ("finish", "score"):
        _open.pop(run).finish()
