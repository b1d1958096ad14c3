"""The `vlzoo` command: global switches, sub-commands, and errors without tracebacks."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from vlzoo import __version__
from vlzoo.cli.output import outlets
from vlzoo.door.plugins import door
from vlzoo.door.supplier import MEND_THERE, stranger_behind
from vlzoo.errors import PluginError, VlzooError, did_you_mean, named
from vlzoo.screen import takes_escapes
from vlzoo.signals import answered, interrupt

COMMANDS = {
    "list": "every part, and which package and version supplied it",
    "show": "one part's options, types, defaults and paper; a recipe; or a run",
    "check": "all mistakes of a recipe at once; --cost adds parameters and FLOPs",
    "doctor": "the environment, the plugins, and what is wrong with them",
    "data": "make, check and describe data",
    "pretrain": "train a recipe",
    "finetune": "train a downstream task from a run",
    "bench": "measure a run on downstream tasks",
    "score": "score predictions made by anybody",
    "compare": "compare what was measured of runs, with each other and with published numbers",
    "curves": "learning curves of runs, in the terminal",
    "report": "one page about runs: figures, curves, examples, word maps, manifest",
    "agree": "compare with values from official code",
    "weights": "convert and inspect checkpoints",
    "ask": "ask a model about a picture",
    "search": "find the pictures of a folder that fit a text",
    "explain": "draw word-conditional Grad-CAM maps",
    "new": "write a plugin of your own: a package that works, with its test",
}
"""Sub-command -> one line about it; its code is `vlzoo/cli/NAME.py`, its click command `command`."""


class LazyCommand(click.Command):
    """A sub-command of vlzoo's own, whose file is imported when it is called; `vlzoo --help` imports none of them."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click's, of the command in the file."""
        command: click.Command = import_module(f"vlzoo.cli.{self.name}").command
        return command.make_context(info_name, args, parent, **extra)


class PluginGroup(click.Group):
    """The core's sub-commands and those of the plugins."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click's, without bold where the terminal takes no escape codes; all sub-commands follow."""
        color = None if takes_escapes(sys.stdout) else False
        return super().make_context(info_name, args, parent, **{"color": color, **extra})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The core's commands in reading order, then the plugins'."""
        return [*COMMANDS, *sorted({*door().commands()} - {*COMMANDS})]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called `cmd_name`."""
        if cmd_name in COMMANDS:  # not through the door: `vlzoo doctor` must run where nothing came in
            return LazyCommand(cmd_name, short_help=COMMANDS[cmd_name])
        return door().command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest name when there is no such command."""
        if args[0] not in COMMANDS and args[0] not in door().commands() and not args[0].startswith("-"):
            raise VlzooError(f"no command called {args[0]!r}", fix=did_you_mean(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in `vlzoo --help`; no command of the core's is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        opened = door()
        rows = [
            (name, f"{command.get_short_help_str(60)} ({plugin.owner})")
            for plugin in opened.plugins
            for name, command in (plugin.loaded.commands.items() if plugin.loaded else ())
            if name not in COMMANDS
        ]
        if rows:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(sorted(rows))
        for plugin in opened.broken:
            formatter.write(f"\n! {plugin.owner.entry} did not load: {plugin.error}\n")


def _load_files(_ctx: click.Context, _option: click.Parameter, files: tuple[str, ...]) -> None:
    if files:
        os.environ["VLZOO_PLUGIN_FILES"] = os.pathsep.join(files)


def _trace(_ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        os.environ["VLZOO_TRACE"] = "1"


# Both are eager: click looks a sub-command up before it runs the group, and a file may supply that sub-command.
@click.group(cls=PluginGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vlzoo")
@click.option(
    "--plugin",
    multiple=True,
    metavar="FILE.py",
    is_eager=True,
    expose_value=False,
    callback=_load_files,
    help="Load a plugin from a single file, too.",
)
@click.option(
    "--trace",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_trace,
    help="Show every hook call, and an error's traceback, on standard error (as VLZOO_TRACE=1).",
)
def cli() -> None:
    """A plugin-based zoo of vision-language pre-training methods.

    VLZOO_DISABLE_PLUGINS=name,... leaves plugins out.
    """


def main(argv: list[str] | None = None) -> None:
    """Run the command line; a `VlzooError` becomes one message and an exit code."""
    code = 0
    try:
        with outlets():
            code = run(argv)
    except VlzooError as error:  # of standard output
        click.echo(f"vlzoo: {error}", err=True)
        code = code or error.exit_code
    atexit.register(_hand_over)  # called first of all that is registered before the program ends
    sys.exit(code)


def _hand_over() -> None:
    """What anybody still writes goes to standard error: it would spoil the JSON that stands there."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        os.dup2(2, 1)


def run(argv: list[str] | None = None) -> int:
    """The exit code of one call; 2 for a user's mistake, 130 after Ctrl-C, SIGTERM, SIGHUP or SIGUSR1."""
    try:
        with answered(interrupt):
            result: Any = cli.main(args=argv, prog_name="vlzoo", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except VlzooError as error:
        return _told(error, error)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("vlzoo: interrupted", err=True)
        return 130
    except Exception as error:
        if (behind := stranger_behind(error)) is None:  # a mistake of vlzoo's own: whoever mends it needs the trace
            raise
        owner, place = behind
        return _told(PluginError(named(error), where=f"{owner}, {place}", fix=MEND_THERE), error)


def _told(error: VlzooError, raised: Exception) -> int:
    """Say an error, with its traceback where that was asked for; gives the exit code."""
    if "_VLZOO_COMPLETE" not in os.environ:  # in the middle of a line that somebody writes
        if os.environ.get("VLZOO_TRACE") == "1":
            click.echo("".join(traceback.format_exception(raised)), err=True)
        click.echo(f"vlzoo: {error}", err=True)
    return error.exit_code
