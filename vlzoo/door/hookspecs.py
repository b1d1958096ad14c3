"""Every hook a plugin can implement. Mark an implementation with `@vlzoo.hookimpl`; all are optional."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from vlzoo.door.registry import Registrar

hookspec = pluggy.HookspecMarker("vlzoo")
hookimpl = pluggy.HookimplMarker("vlzoo")

API, OLDEST_API = 1, 1
"""The version of the plugin API (docs/stability.md), and the oldest whose plugins run: `VLZOO_API = 1` says so."""


@hookspec
def vlzoo_register(registry: Registrar) -> None:
    """Register parts: `registry.objective("name", "package.module:Class", summary="...")`.

    Called once for each plugin whenever vlzoo starts, before any part is built. Import nothing heavy here: a plugin
    that takes more than half a second is named by `vlzoo list` and `vlzoo doctor`.
    """


@hookspec
def vlzoo_commands(group: click.Group) -> None:
    """Add sub-commands to `vlzoo`: `group.add_command(my_command)`. A name that exists can't be replaced."""


@hookspec
def vlzoo_watch(event: str, run: Path, values: Mapping[str, Any]) -> None:
    """Observe a run: `start`, `step`, `checkpoint`, `validation`, `finish`, `score`.

    Args:
        event: what happened.
        run: the run folder.
        values: plain numbers and texts: for `step` the step, losses, learning rate and samples a second.
    """
