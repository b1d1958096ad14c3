"""`vlzoo data`: make, check and describe data. Sub-commands are imported when they are called."""

from __future__ import annotations

from importlib import import_module

import click

from vlzoo.errors import VlzooError, did_you_mean

SUBCOMMANDS = {
    "make": ("vlzoo.cli.data_make", "make"),
    "list": ("vlzoo.cli.data_sources", "list_sources"),
    "show": ("vlzoo.cli.data_sources", "show"),
    "check": ("vlzoo.cli.data_sources", "check"),
}
"""Sub-command -> the module and the click command that carry it out."""


class DataGroup(click.Group):
    """Imports only the sub-command that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The sub-commands in reading order."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The sub-command called `cmd_name`, imported now."""
        if cmd_name not in SUBCOMMANDS:
            raise VlzooError(f"no command called 'data {cmd_name}'", fix=did_you_mean(cmd_name, SUBCOMMANDS))
        module, name = SUBCOMMANDS[cmd_name]
        found: click.Command = getattr(import_module(module), name)
        return found


@click.group(cls=DataGroup)
def command() -> None:
    """Make, check and describe data."""
