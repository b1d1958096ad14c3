"""`subprocess.Popen` whose Python is forked from this process: what is imported here need not be imported again.

Importing torch, timm and transformers takes 5 to 8 seconds of processor time, and the tests start hundreds of processes
that need them. A fork is a real child, with its own number, exit code, streams, folder, environment and signals, and so
are the Pythons that it starts in turn, as torchrun does. A test of what a process imports starts a fresh one.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import pkgutil
import runpy
import signal
import stat
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import torch

from vlzoo.config import check

ROOT = Path(__file__).resolve().parent.parent
UNBUFFERED = "-u"
"""torchrun's flag; of no effect here."""
PACKAGES = ("augment", "bench", "cli", "config", "data", "explain", "models", "objectives", "text", "train")
OTHERS = ("pandas", "matplotlib.figure")
"""What is imported when it is needed, by nearly every call."""
HOMES = (str(ROOT / "vlzoo"), *map(str, ROOT.glob("plugins/*/vlzoo_*")), sys.prefix, sys.base_prefix)
"""Where modules lie that a fork keeps."""
OF_CODE = ("vlzoo.config.values", "vlzoo.door.options", "vlzoo.door.source")
"""Modules whose caches depend on code alone, and are kept."""
FORKS = sys.platform == "linux" and not torch.cuda.is_available()
"""Beside a GPU autograd has threads, which are not there in a fork; and macOS forbids much in one."""
ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}
_TRACKER = resource_tracker.getfd()
"""The process that clears up behind multiprocessing: forks share it, as multiprocessing's own do."""
_PATH = list(sys.path)
_begin = subprocess.Popen.__init__
"""As the standard library has it."""


def load() -> None:
    """Import all that a call may need, and have pydantic build what checks a recipe."""
    for package in PACKAGES:
        root = importlib.import_module(f"vlzoo.{package}")
        for module in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            importlib.import_module(module.name)
    for name in OTHERS:
        importlib.import_module(name)
    check.load("softmaskpp-tiny")
    torch.set_num_threads(1)


def begin(self: subprocess.Popen[Any], args: Any, *rest: Any, **kwargs: Any) -> None:
    """As `subprocess.Popen` begins a process; this interpreter with `-m MODULE`, `-c CODE` or a script is forked."""
    program = [] if rest or kwargs.get("preexec_fn") or not FORKS else program_of(args)
    if not program:
        return _begin(self, args, *rest, **kwargs)
    env = dict(os.environ if kwargs.get("env") is None else kwargs["env"])
    # What a signal raises while Python forks is lost: it may meet functions that are called at a fork.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        _begin(self, args, **{**kwargs, "preexec_fn": lambda: become(program, env)})
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Popen(subprocess.Popen[Any]):
    """A process of `begin`."""

    __init__ = begin


def program_of(args: Any) -> list[str]:
    """What a command gives this interpreter to run; empty where it is another one's, or has other flags."""
    words = list(map(os.fspath, args)) if isinstance(args, Sequence) and not isinstance(args, str) else []
    if words[:1] != [sys.executable]:
        return []
    rest = words[2:] if words[1:2] == [UNBUFFERED] else words[1:]
    return rest if rest and (rest[0] in ("-m", "-c") or not rest[0].startswith("-")) else []


def together(function: Callable[..., None], arguments: tuple[Any, ...], processes: int) -> None:
    """Call `function(rank, *arguments)` in several processes, and wait for them."""
    start = "fork" if FORKS else "spawn"
    torch.multiprocessing.start_processes(function, arguments, processes, start_method=start)


def run(
    words: Sequence[str], *, timeout: float | None = None, check: bool = False, **kwargs: Any
) -> subprocess.CompletedProcess[Any]:
    """As `subprocess.run`, by a `Popen` of this module."""
    if kwargs.pop("capture_output", False):
        kwargs |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(words, **kwargs) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(words, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def become(program: Sequence[str], env: Mapping[str, str]) -> None:
    """Be `python PROGRAM`, and end; called in a fork by `subprocess`, which has set streams, folder and session."""
    code = 1
    try:
        close_pipes()
        begin_anew(env)
        execute(program)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def close_pipes() -> None:
    """Close pipes and sockets of the parent: by one of them it learns that this process has begun."""
    for number in [int(each.name) for each in Path("/dev/fd").iterdir()]:
        with suppress(OSError):  # the one that lists them is closed by now
            kind = os.fstat(number).st_mode
            if number > 2 and number != _TRACKER and (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
                os.close(number)


def begin_anew(env: Mapping[str, str]) -> None:
    """Put off what a fork inherits and a fresh process does not have."""
    gc.freeze()  # a collector that looked through what is there would copy it here, page by page
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = open(number, mode, encoding="utf-8", errors="replace", closefd=False, buffering=1)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    # As a shell starts it: whoever runs the tests (nohup, a job in the background) may ignore these.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in ENDING - {signal.SIGINT}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    sys.unraisablehook, sys.excepthook = sys.__unraisablehook__, sys.__excepthook__
    os.environ.clear()
    os.environ.update(env)
    loggers = [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]
    for logger in loggers:
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)  # as Python begins
    torch.set_num_threads(int(env.get("OMP_NUM_THREADS", "1")))
    torch.set_grad_enabled(True)
    torch.seed()
    forget()
    subprocess.Popen.__init__ = begin  # type: ignore[method-assign]


def forget() -> None:
    """Drop modules of tests and of plugins that tests wrote, and what our functions remember of files and plugins."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and not file.startswith(HOMES):
            del sys.modules[name]
        elif name.startswith("vlzoo") and name not in OF_CODE:
            for each in vars(module).values():
                if callable(clear := getattr(each, "cache_clear", None)):
                    clear()
    importlib.invalidate_caches()


def execute(program: Sequence[str]) -> None:
    """Run `-m MODULE ARGS`, `-c CODE ARGS` or `SCRIPT ARGS` as the interpreter does."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    what, *rest = program
    first = {"-m": Path.cwd(), "-c": ""}.get(what, Path(what).resolve().parent)
    sys.path[:] = [str(first), *filter(None, path), *_PATH]
    if what == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif what == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [what, *rest]
        runpy.run_path(what, run_name="__main__")
