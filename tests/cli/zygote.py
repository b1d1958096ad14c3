"""A process that has imported torch and vlzoo once and forks a `vlzoo` process for each line it reads.

Importing torch, timm and transformers takes 8 seconds of processor time, which some thirty calls would pay each.
A fork is a process of its own: with its own exit code, streams, folder, environment and signals.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import traceback

import torch

from vlzoo.config import check
from vlzoo.door.plugins import door


def load() -> None:
    """Import all that a call may need, and read the sources that every call reads.

    The plugin door is shut again, as each call opens it anew. What is there is frozen: a collector that looked through
    it in every child would copy it there, page by page, which took half of a short training.
    """
    for package in ("models", "objectives", "train", "bench", "augment", "data", "config"):
        root = importlib.import_module(f"vlzoo.{package}")
        for module in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            importlib.import_module(module.name)
    torch.set_num_threads(1)
    check.load("softmaskpp-tiny")
    door.cache_clear()
    gc.collect()
    gc.freeze()


def call(request: dict) -> None:
    """Become `vlzoo ARGS`, in a process group of its own: a signal may be sent to all of it."""
    os.setpgid(0, 0)
    # As a shell starts it: whoever runs the tests (nohup, a job in the background) may ignore these.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    sys.path.insert(0, request["cwd"])
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    from vlzoo.cli.main import main

    code: object = 1
    try:
        main(request["args"])
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def serve() -> None:
    """Fork for each line; answer with the process's number at once, and with its exit code when it has ended."""
    load()
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            call(json.loads(line))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
