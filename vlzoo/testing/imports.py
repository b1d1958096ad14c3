"""What a plugin's modules do while they are imported: nothing but define. Watched in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vlzoo.door.plugins import door
from vlzoo.testing.case import Case

LIGHT = ("data", "task", "agreement")
"""Kinds whose modules are imported by commands that need no torch: `vlzoo list`, `vlzoo score`, `vlzoo agree`."""

PLACES = Path(__file__).parents[1] / "torch_places.py"
"""Where functions of torch are looked for."""

WATCH = """
import contextlib, importlib.util, inspect, io, json, os, random, sys, threading
import numpy
light, places_file, modules = sys.argv[1] == "light", sys.argv[2], sys.argv[3:]
if not light:
    import torch
seen, watched = [], ""
def is_own():
    # Of what a library does while the module imports it, the module is not guilty.
    frame = inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name == "importlib._bootstrap" or name.partition(".")[0] == watched:
            return name != "importlib._bootstrap"
        frame = frame.f_back
    return False
def audit(event, args):
    if event.partition(".")[0] not in ("open", "socket", "subprocess", "os") or not is_own():
        return
    if event == "open" and isinstance(args[0], str) and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        if not args[0].startswith(("/dev/", "/proc/")) and not args[0].endswith(".pyc"):
            seen.append("writes the file " + args[0])
    elif event in ("socket.connect", "socket.getaddrinfo"):
        seen.append("reaches for the network")
    elif event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork"):
        seen.append("starts a process")
sys.addaudithook(audit)
def functions_of_torch(places=[]):
    if not places:
        # By its path, as vlzoo may be what is watched.
        spec = importlib.util.spec_from_file_location("torch_places", places_file)
        places.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(places[0])
    return places[0].functions()
def state():
    found = {"seeds or draws of Python's random": random.getstate()}
    found["seeds or draws of numpy"] = str(numpy.random.get_state())
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        found["seeds or draws of torch"] = torch.get_rng_state().tolist()
        found["torch's default type"] = str(torch.get_default_dtype())
        found["torch's number of threads"] = torch.get_num_threads()
        found["torch's gradient mode"] = torch.is_grad_enabled()
        found["torch's deterministic mode"] = torch.are_deterministic_algorithms_enabled()
        found["functions of torch"] = {name: id(each) for name, each in functions_of_torch().items()}
        found["the GPU"] = torch.cuda.is_initialized()
    found["the working folder"] = os.getcwd()
    found["the environment"] = dict(os.environ)
    return found
for module in modules:
    parts = module.split(".")
    for end in range(1, len(parts)):
        with contextlib.suppress(Exception):
            importlib.import_module(".".join(parts[:end]))
    if module != "vlzoo":
        importlib.import_module("vlzoo")
    watched = parts[0]
    seen.clear()
    before, threads, out, had_torch = state(), threading.active_count(), io.StringIO(), "torch" in sys.modules
    failed = ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            importlib.import_module(module)
        except BaseException as error:
            failed = f"raises {type(error).__name__}: {error}"
    said = list(dict.fromkeys(seen))
    after = state()
    said += ["changes " + name for name, held in before.items() if after[name] != held]
    if out.getvalue().strip():
        said.append("prints " + repr(out.getvalue().strip()[:60]))
    if threading.active_count() > threads:
        said.append("starts a thread")
    if light and not had_torch and "torch" in sys.modules:
        said.append("imports torch")
    print(json.dumps([module, ([failed] if failed else []) + said]), flush=True)
    if light and "torch" in sys.modules:
        break
"""
"""Given light or heavy, `PLACES` and modules: imports these one by one and prints a line of JSON about each.

Among light ones it ends with the first that brings torch, as of the others nothing could be told then.
"""


def in_a_process_of_its_own(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Python's code with arguments, where nothing is imported yet; it finds what this process finds."""
    return subprocess.run(
        [sys.executable, "-B", "-c", code, *args],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@dataclass
class Watched:
    """What is known of modules already: a process that imports torch takes seconds, so each is looked at once.

    >>> Watched().of(["vlzoo.errors"], light=True)
    {'vlzoo.errors': []}

    Attributes:
        said: module and whether it must be light -> what it does at import.
    """

    said: dict[tuple[str, bool], list[str]] = field(default_factory=dict)

    def of(self, modules: Iterable[str], *, light: bool = False) -> dict[str, list[str]]:
        """What modules do while they are imported, by name; an empty list: nothing.

        Args:
            modules: by their full names.
            light: whether they must not bring torch.
        """
        wanted = list(dict.fromkeys(modules))
        while waiting := [module for module in wanted if (module, light) not in self.said]:
            done = in_a_process_of_its_own(WATCH, "light" if light else "heavy", str(PLACES), *waiting)
            found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
            self.said |= {(module, light): said for module, said in found}
            if not found:
                ended = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
                self.said[waiting[0], light] = [f"ends the process that imports it ({ended[0]})"]
        return {module: self.said[module, light] for module in wanted}


WATCHED = Watched()
"""What this process knows."""


def modules_of(cases: Iterable[Case]) -> tuple[list[str], list[str]]:
    """The modules of some parts that must be light, and the others: those that hold hooks, and those of the parts.

    The packages that a module lies in come before it: they are imported with it.
    """
    light: list[str] = []
    heavy: list[str] = []
    for case in cases:
        hooks = hooks_of(case)
        if hooks is None:
            continue
        light += _with_packages(hooks)
        if case.kind != "method":
            of_kind = light if case.kind in LIGHT else heavy
            of_kind += _with_packages(case.part.target.partition(":")[0])
    return light, heavy


def hooks_of(case: Case) -> str | None:
    """The module that holds the hooks of a part's plugin; None for a class by itself, and for what a single file holds:
    no other process imports these by a name."""
    installed = {each.owner: each.loaded.module for each in door().plugins if each.loaded and not each.candidate.file}
    found = installed.get(case.part.owner)
    return None if found is None else str(found.__name__)


def _with_packages(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def watch(cases: Iterable[Case]) -> None:
    """Look at the modules of many parts at once; their own checks know them then."""
    light, heavy = modules_of(cases)
    WATCHED.of(light, light=True)
    WATCHED.of(heavy)


def does_no_work_at_import(case: Case) -> None:
    """Importing it defines its classes and nothing else, and its hooks import no torch."""
    light, heavy = modules_of([case])
    for modules, must in ((light, True), (heavy, False)):
        for module, said in WATCHED.of(modules, light=must).items():
            if said:
                what = f"{said[0]} while its module {module} is imported"
                heavy_fix = "import torch inside functions, or in the module that the target names"
                fix = (
                    heavy_fix if said[0] == "imports torch" else "do it in the constructor, or when it is first needed"
                )
                case.refuse(what, f"a module only defines: {fix}")
