"""Load one plugin in isolation: whatever it does wrong becomes a `PluginError` about it alone."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from vlzoo.door import hookspecs
from vlzoo.door.parts import Owner, Part
from vlzoo.door.registry import Registrar
from vlzoo.errors import PluginError, did_you_mean

if TYPE_CHECKING:
    import click

SLOW_IMPORT_S = 0.5
"""An import that takes longer is named by `vlzoo doctor`."""

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("vlzoo_"))


@dataclass(frozen=True)
class Loaded:
    """What one plugin brought.

    Attributes:
        parts: what it registered.
        hooks: the hooks it implements.
        seconds: how long its import and registration took.
        remarks: what its author should mend though it works.
        commands: the sub-commands it adds, each with one line about it.
    """

    parts: tuple[Part, ...]
    hooks: tuple[str, ...]
    seconds: float
    remarks: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows vlzoo's hooks."""
    manager = pluggy.PluginManager("vlzoo")
    manager.add_hookspecs(hookspecs)
    return manager


def load(bring: Callable[[], ModuleType], owner: Owner, core_version: str) -> Loaded:
    """Import a plugin, check its hooks and collect what it registers.

    Args:
        bring: imports the plugin's module.
        owner: who supplies it.
        core_version: the version of vlzoo that is running.

    Raises:
        PluginError: it does not import (SystemExit too), implements a hook that does not exist or with
            other arguments, implements none, or breaks a rule while registering.
    """
    started = time.perf_counter()
    had_torch = "torch" in sys.modules
    with isolated(owner) as printed:
        module = bring()
        manager = _checked(module)
        registrar = Registrar(owner, core_version)
        manager.hook.vlzoo_register(registry=registrar)
        hooks = tuple(name for name in HOOKS if getattr(manager.hook, name).get_hookimpls())
        added = commands_of(module) if "vlzoo_commands" in hooks else {}
        commands = tuple((name, added[name].get_short_help_str(60)) for name in sorted(added))
    seconds = time.perf_counter() - started
    remarks = _remarks(printed.getvalue(), seconds, not had_torch and "torch" in sys.modules)
    return Loaded(tuple(registrar.parts), hooks, seconds, remarks, commands)


def commands_of(module: ModuleType) -> dict[str, click.Command]:
    """The sub-commands that a plugin's module adds.

    Raises:
        PluginError: one has the name of a command of the core's.
    """
    # Here, not above: most plugins add no command, and a library user needs no command line.
    import click

    from vlzoo.cli.main import COMMANDS

    group = click.Group()
    _checked(module).hook.vlzoo_commands(group=group)
    for name in group.commands:
        if name in COMMANDS:
            raise PluginError(
                f"the command {name!r} is built into vlzoo and can't be taken over",
                fix="its author must choose another name",
            )
    return dict(group.commands)


@contextlib.contextmanager
def isolated(owner: Owner) -> Iterator[io.StringIO]:
    """Run a plugin's code: what it raises becomes a `PluginError` about it, what it prints is caught.

    Raises:
        PluginError: whatever went wrong, SystemExit too.
    """
    with _blamed_on(owner), _silenced() as printed:
        yield printed


def _checked(module: ModuleType) -> pluggy.PluginManager:
    """A manager that holds the module alone, once every hook in it is known to fit."""
    unmarked = [n for n, f in vars(module).items() if n in HOOKS and inspect.isroutine(f) and not _mark(f)]
    if unmarked:
        raise PluginError(f"{unmarked[0]} is not marked as a hook", fix="put @hookimpl (from vlzoo) above it")
    marked = {n: _mark(f) for n, f in vars(module).items() if inspect.isroutine(f) and _mark(f)}
    if not marked:
        misspelt = next((n for n in vars(module) if n.startswith("vlzoo_") and callable(vars(module)[n])), None)
        raise PluginError(
            f"{module.__name__} implements no hook" + (f", but it has {misspelt!r}" if misspelt else ""),
            fix="write vlzoo_register(registry) at its top level, under @hookimpl; see docs/plugins.md",
        )
    for name, mark in marked.items():
        hook = mark.get("specname") or name
        if hook not in HOOKS:
            raise PluginError(f"there is no hook {hook!r}", fix=did_you_mean(hook, HOOKS, what="hooks"))
    manager = new_manager()
    manager.register(module)
    manager.check_pending()
    return manager


def _mark(function: Any) -> dict[str, Any]:
    """What `@hookimpl` left on a function; empty where it is not marked."""
    mark = getattr(function, "vlzoo_impl", None)
    return mark if isinstance(mark, dict) else {}


@contextlib.contextmanager
def _blamed_on(owner: Owner) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise
    except PluginError as error:
        raise PluginError(error.what, where=error.where or str(owner), fix=error.fix) from error
    except pluggy.PluginValidationError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise PluginError(" ".join(lines[1:] or lines), where=str(owner)) from error
    except BaseException as error:  # SystemExit too: a plugin must not end the program
        raise PluginError(f"{type(error).__name__}: {_place(error)}{error}", where=str(owner)) from error


def _place(error: BaseException) -> str:
    """The file and line inside the plugin where it went wrong, where that helps."""
    if isinstance(error, SyntaxError):
        return ""
    trace, last = error.__traceback__, None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and file != __file__ and "importlib" not in file and "pluggy" not in file:
            last = f"{file}:{trace.tb_lineno}: "
        trace = trace.tb_next
    return last or ""


@contextlib.contextmanager
def _silenced() -> Iterator[io.StringIO]:
    # What a plugin prints would break `vlzoo list --json` for everybody. Python's own output is kept for a remark;
    # what is written below Python, by a C library or a child process, goes to standard error.
    printed = io.StringIO()
    saved = None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(printed):
            yield printed
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


def _remarks(printed: str, seconds: float, brought_torch: bool) -> tuple[str, ...]:
    remarks = []
    if printed.strip():
        remarks.append(f"prints on import: {printed.strip().splitlines()[0][:60]!r}")
    if brought_torch:
        remarks.append("imports torch when it registers; name targets as texts instead")
    if seconds > SLOW_IMPORT_S:
        remarks.append(f"took {seconds:.1f} s to import (remembered until its files change)")
    return tuple(remarks)
