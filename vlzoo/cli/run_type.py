"""What every option and argument takes that names a run: its folder, or `package:PACKAGE/RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class RunType(click.ParamType):
    """A run's folder; of a run that a package carries, that of its copy in the cache."""

    name = "run"

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> Path:
        """The folder.

        Raises:
            CheckpointError: no installed package carries the run.
        """
        from vlzoo.runs.packaged import run_folder

        return run_folder(value)

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Runs of packages whose name begins so, else files."""
        from click.shell_completion import CompletionItem

        from vlzoo.runs.packaged import carriers, packaged

        named = [run.reference for each in carriers() for run in packaged(each)] if incomplete else []
        items = [CompletionItem(each, help="a run of a package") for each in named if each.startswith(incomplete)]
        return items or [CompletionItem(incomplete, type="file")]


RUN = RunType()
