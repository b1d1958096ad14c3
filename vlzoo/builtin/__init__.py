"""The core's own parts, registered through the same door as a stranger's."""

from __future__ import annotations

from vlzoo.builtin import adapters, augment, data, methods, models, objectives, tasks
from vlzoo.hookspecs import hookimpl
from vlzoo.registry import Registrar


@hookimpl
def vlzoo_register(registry: Registrar) -> None:
    """Register everything that comes with vlzoo."""
    for room in (models, objectives, augment, data, tasks, adapters, methods):
        room.register(registry)
