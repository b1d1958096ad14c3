"""Runs in TensorBoard: event files in `RUN/tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlzoo import hookimpl
from vlzoo_observers.watched import figures, is_asked_for, needed

FOLDER = "tensorboard"
VLZOO_API = 1
_open: dict[Path, Any] = {}


@hookimpl
def vlzoo_watch(event: str, run: Path, values: Mapping[str, Any]) -> None:
    """Write the numbers of each event; what a resumed run makes anew hides what was written for these steps."""
    if not is_asked_for("tensorboard"):
        return
    writer_of = needed("torch.utils.tensorboard").SummaryWriter
    found = figures(event, values)
    if found and run not in _open:
        _open[run] = writer_of(str(run / FOLDER), purge_step=values.get("step"))
    for name, value in found.items():
        _open[run].add_scalar(name, value, values.get("step", 0))
    if run in _open:
        _open[run].flush()
    if event in ("finish", "score") and run in _open:
        _open.pop(run).close()
