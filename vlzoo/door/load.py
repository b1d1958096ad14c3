"""Load one plugin in isolation: whatever it does wrong becomes a `PluginError` about it alone."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import pluggy

from vlzoo.door import hookspecs
from vlzoo.door.find import Candidate
from vlzoo.door.parts import Owner, Part
from vlzoo.door.registry import Registrar
from vlzoo.errors import PluginError, did_you_mean

if TYPE_CHECKING:
    import click

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("vlzoo_"))


@dataclass(frozen=True)
class Loaded:
    """What one plugin supplies.

    Attributes:
        module: where its hooks are.
        parts: what it registered.
        hooks: the hooks it implements.
        seconds: how long its import and registration took.
        remarks: what its author should mend though it works.
        commands: the sub-commands it adds, by name.
        api: the plugin API that it was written for, as it states; None: it does not.
    """

    module: ModuleType
    parts: tuple[Part, ...]
    hooks: tuple[str, ...]
    seconds: float
    remarks: tuple[str, ...]
    commands: Mapping[str, click.Command]
    api: int | None = None


def load(candidate: Candidate, core_version: str, taken: Collection[str] = ()) -> Loaded:
    """Import a plugin, check its hooks and collect what it registers.

    Args:
        candidate: what was found.
        core_version: the version of vlzoo that is running.
        taken: names that its sub-commands can't have.

    Raises:
        PluginError: it does not import (SystemExit too), was written for another plugin API, implements a hook that
            does not exist or with other arguments, implements none, or breaks a rule while registering.
    """
    started = time.perf_counter()
    had_torch = "torch" in sys.modules
    with _errors_name(candidate.owner), _output_kept() as printed:
        module = candidate.import_module()
        api = _stated_api(module, core_version)
        manager = _checked(module, candidate.owner)
        hooks = tuple(name for name in HOOKS if getattr(manager.hook, name).get_hookimpls())
        registrar = Registrar(candidate.owner, core_version)
        manager.hook.vlzoo_register(registry=registrar)
        commands = _commands(manager, taken) if "vlzoo_commands" in hooks else {}
    seconds = time.perf_counter() - started
    remarks = _remarks(printed, not had_torch and "torch" in sys.modules)
    return Loaded(module, tuple(registrar.parts), hooks, seconds, remarks, commands, api)


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows vlzoo's hooks; with VLZOO_TRACE=1 it shows every call."""
    manager = pluggy.PluginManager("vlzoo")
    manager.add_hookspecs(hookspecs)
    if os.environ.get("VLZOO_TRACE") == "1":
        manager.add_hookcall_monitoring(_show_call, lambda *_: None)
    return manager


def label(owner: Owner) -> str:
    """What a plugin is called among the hooks: a distribution may supply several."""
    return f"{owner} [{owner.entry}]"


def _show_call(name: str, implementations: Sequence[pluggy.HookImpl], given: Mapping[str, Any]) -> None:
    shown = ", ".join(f"{key}={value}" for key, value in given.items() if isinstance(value, str | Path))
    called = ", ".join(each.plugin_name for each in implementations) or "nobody"
    print(f"vlzoo trace: {name}({shown}) -> {called}", file=sys.stderr)


def _stated_api(module: ModuleType, core_version: str) -> int | None:
    """The plugin API that a plugin says it was written for; looked at first, as all else follows from it.

    Raises:
        PluginError: it is another than this vlzoo's, or no number.
    """
    stated, ours = getattr(module, "VLZOO_API", None), f"this vlzoo {core_version}"
    if stated is None:
        return None
    if not isinstance(stated, int) or isinstance(stated, bool):
        raise PluginError(f"VLZOO_API is {stated!r}, not a whole number", fix=f"write VLZOO_API = {hookspecs.API}")
    if stated > hookspecs.API:
        what = f"written for version {stated} of the plugin API, and {ours} has {hookspecs.API}"
        raise PluginError(what, fix="upgrade vlzoo, or install an older version of the plugin")
    if stated < hookspecs.OLDEST_API:
        what = f"written for version {stated} of the plugin API, and {ours} runs {hookspecs.OLDEST_API} and later"
        raise PluginError(what, fix="install a newer version of the plugin, or an older vlzoo")
    return stated


def _checked(module: ModuleType, owner: Owner) -> pluggy.PluginManager:
    """A manager that holds the module alone, once every hook in it is known to fit."""
    manager = new_manager()
    routines = [name for name, value in vars(module).items() if name in HOOKS and inspect.isroutine(value)]
    unmarked = [name for name in routines if manager.parse_hookimpl_opts(module, name) is None]
    if unmarked:
        raise PluginError(f"{unmarked[0]} is not marked as a hook", fix="put @hookimpl (from vlzoo) above it")
    manager.register(module, name=label(owner))
    callers = manager.get_hookcallers(module)
    if not callers:
        misspelt = next((n for n in vars(module) if n.startswith("vlzoo_") and callable(vars(module)[n])), None)
        raise PluginError(
            f"{module.__name__} implements no hook" + (f", but it has {misspelt!r}" if misspelt else ""),
            fix="write vlzoo_register(registry) at its top level, under @hookimpl; see docs/plugins.md",
        )
    for caller in callers:
        if not caller.has_spec() and not all(each.optionalhook for each in caller.get_hookimpls()):
            raise PluginError(f"there is no hook {caller.name!r}", fix=did_you_mean(caller.name, HOOKS, what="hooks"))
    return manager


def _commands(manager: pluggy.PluginManager, taken: Collection[str]) -> dict[str, click.Command]:
    """The sub-commands that the manager's plugin adds.

    Raises:
        PluginError: one has a name that is taken.
    """
    import click  # here: most plugins add no command

    group = click.Group()
    manager.hook.vlzoo_commands(group=group)
    for name in group.commands:
        if name in taken:
            raise PluginError(
                f"the command {name!r} is built into vlzoo and can't be taken over",
                fix="its author must choose another name",
            )
    return dict(sorted(group.commands.items()))


@contextlib.contextmanager
def _errors_name(owner: Owner) -> Iterator[None]:
    """Whatever a plugin's code raises, SystemExit too, becomes a `PluginError` that names the plugin."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except PluginError as error:
        raise PluginError(error.what, where=error.where or str(owner), fix=error.fix) from error
    except pluggy.PluginValidationError as error:
        takes = [f"{name}{inspect.signature(getattr(hookspecs, name))}" for name in HOOKS]
        fix = f"the hooks are {'; '.join(each.partition(' ->')[0] for each in takes)}"
        raise PluginError(" ".join(str(error).split()), where=str(owner), fix=fix) from error
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


@dataclass
class Output:
    """What a plugin wrote on standard output while it was imported.

    Attributes:
        printed: by Python's `print`.
        written: past it: by a C library, a child process, a stream that was kept.
    """

    printed: str = ""
    written: str = ""


@contextlib.contextmanager
def _output_kept() -> Iterator[Output]:
    # It would break `vlzoo list --json` for everybody. What is written below Python's `print` is handed on to standard
    # error when the import is done.
    found, printed = Output(), io.StringIO()
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ValueError):
            _flush()
            kept = stack.enter_context(tempfile.TemporaryFile())
            saved = os.dup(1)
            stack.callback(_give_back, saved, kept, found)
            os.dup2(kept.fileno(), 1)
        try:
            with contextlib.redirect_stdout(printed):
                yield found
        finally:
            found.printed = printed.getvalue()


def _give_back(saved: int, kept: IO[bytes], found: Output) -> None:
    """Standard output as it was before; what was written to `kept` meanwhile goes to standard error."""
    _flush()
    os.dup2(saved, 1)
    os.close(saved)
    kept.seek(0)
    if written := kept.read():
        found.written = written.decode(errors="replace")
        with contextlib.suppress(OSError):
            os.write(2, written if written.endswith(b"\n") else written + b"\n")


def _flush() -> None:
    """Write out what waits in Python's own streams; `sys.__stdout__` is another where the command has its own."""
    for stream in (sys.stdout, sys.__stdout__):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()


def _remarks(output: Output, imported_torch: bool) -> tuple[str, ...]:
    remarks = []
    for verb, text in (("prints", output.printed.strip()), ("writes", output.written.strip())):
        if text:
            remarks.append(f"{verb} on import: {text.splitlines()[0][:60]!r}")
    if imported_torch:
        remarks.append("imports torch when it registers; name targets as texts instead")
    return tuple(remarks)
