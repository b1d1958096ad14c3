"""The plugin door: find every plugin, load each one by itself, and know who supplied what."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from vlzoo import __version__
from vlzoo.errors import PluginError
from vlzoo.plugin_cache import Cache, fingerprint, key_of
from vlzoo.plugin_load import Loaded, load, new_manager
from vlzoo.registry import CORE, Owner, Registry

GROUP = "vlzoo"
"""The entry-point group of vlzoo's plugins."""


@dataclass(frozen=True)
class Candidate:
    """A plugin that was found, not yet loaded.

    Attributes:
        owner: distribution, version and entry point.
        module: the module to import.
        file: where a single-file plugin lies, else None.
        requires: the distribution's requirements, as its metadata states them.
    """

    owner: Owner
    module: str
    file: Path | None = None
    requires: tuple[str, ...] = ()

    def bring(self) -> ModuleType:
        """Import the module.

        Raises:
            PluginError: the distribution needs a newer vlzoo, or the file can't be read as a module.
        """
        _check_requirement(self.requires, str(self.owner))
        if self.file is None:
            return importlib.import_module(self.module)
        return _import_file(self.file, self.module)


@dataclass(frozen=True)
class Plugin:
    """A plugin after loading: what it brought, or why it brought nothing.

    Attributes:
        candidate: what was found.
        loaded: what it brought; None where it failed or was left out.
        error: why it failed.
        disabled: left out by VLZOO_DISABLE_PLUGINS.
        remembered: taken from the cache, not imported.
    """

    candidate: Candidate
    loaded: Loaded | None = None
    error: PluginError | None = None
    disabled: bool = False
    remembered: bool = False

    @property
    def owner(self) -> Owner:
        """Who supplies it."""
        return self.candidate.owner


@dataclass
class Door:
    """Everything that came in: the registry, the plugins, and the hooks to call."""

    registry: Registry = field(default_factory=Registry)
    plugins: list[Plugin] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=new_manager)

    def hook(self, name: str) -> pluggy.HookCaller:
        """The caller of a hook, once every plugin that implements it is imported."""
        for plugin in self.plugins:
            if plugin.loaded and name in plugin.loaded.hooks:
                module = plugin.candidate.bring()
                if not self.manager.is_registered(module):
                    self.manager.register(module, name=f"{plugin.owner.dist}:{plugin.owner.entry}")
        return getattr(self.manager.hook, name)

    @property
    def broken(self) -> list[Plugin]:
        """The plugins that did not load."""
        return [plugin for plugin in self.plugins if plugin.error]


@cache
def door() -> Door:
    """The door of this process: every plugin found and loaded, once."""
    opened, remembered = Door(), Cache()
    if os.environ.get("VLZOO_TRACE") == "1":
        _trace(opened.manager)
    left_out = {name.strip() for name in os.environ.get("VLZOO_DISABLE_PLUGINS", "").split(",")} - {""}
    for candidate in find():
        if {candidate.owner.dist, candidate.owner.entry} & left_out and candidate.owner.dist != CORE:
            opened.plugins.append(Plugin(candidate, disabled=True))
        else:
            opened.plugins.append(_enter(candidate, opened.registry, remembered))
    remembered.save()
    return opened


def registry() -> Registry:
    """The parts of every plugin that loaded."""
    return door().registry


def find() -> list[Candidate]:
    """Every plugin there is: the core's first, then by distribution, then single files."""
    points = importlib.metadata.entry_points(group=GROUP)
    found = []
    for point in points:
        dist = point.dist
        owner = Owner(dist.name if dist else "unknown", dist.version if dist else "?", point.name)
        found.append(Candidate(owner, point.value.partition(":")[0], requires=tuple((dist and dist.requires) or ())))
    found.sort(key=lambda item: (item.owner.dist != CORE, item.owner.dist, item.owner.entry))
    return [*found, *_single_files()]


def _single_files() -> Iterator[Candidate]:
    for name in filter(None, os.environ.get("VLZOO_PLUGIN_FILES", "").split(os.pathsep)):
        file = Path(name)
        yield Candidate(Owner(file.name, "(file)", file.stem), file.stem, file)


def _enter(candidate: Candidate, registry: Registry, remembered: Cache) -> Plugin:
    """Load one plugin, or recall what it registered; whatever it does, the others are not touched."""
    owner = candidate.owner
    # The core is light and changes while it is developed; a single file is there to be edited.
    keep = owner.dist != CORE and candidate.file is None and os.environ.get("VLZOO_NO_CACHE") != "1"
    files = fingerprint(candidate.module) if keep else None
    key = key_of(owner, candidate.module, files) if files else None
    recalled = remembered.get(owner, key) if key else None
    try:
        started = time.perf_counter()
        loaded = recalled or load(candidate.bring, owner, __version__)
        registry.add(loaded.parts)
    except PluginError as error:
        return Plugin(candidate, error=error)
    finally:
        _note(f"vlzoo_register <- {owner} ({time.perf_counter() - started:.3f} s{', remembered' * bool(recalled)})")
    if key and not recalled:
        remembered.put(owner, key, loaded)
    return Plugin(candidate, loaded, remembered=recalled is not None)


def _check_requirement(requires: tuple[str, ...], where: str) -> None:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for line in requires:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        here = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if (
            here
            and canonicalize_name(wanted.name) == CORE
            and not wanted.specifier.contains(__version__, prereleases=True)
        ):
            raise PluginError(
                f"needs vlzoo {wanted.specifier}; this is {__version__}",
                where=where,
                fix="upgrade vlzoo, or install a version of the plugin that fits",
            )


def _import_file(file: Path, name: str) -> ModuleType:
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(file.resolve()):
        return sys.modules[name]
    if not file.is_file():
        raise PluginError(f"there is no file {str(file)!r}", fix="give --plugin the path of a Python file")
    if not name.isidentifier() or _taken(name, file):
        raise PluginError(f"a module called {name!r} exists already or can't be", fix="rename the file")
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise PluginError(f"{str(file)!r} is not a Python file", fix="give --plugin a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _taken(name: str, file: Path) -> bool:
    """Whether another module than this file already has the name."""
    known = importlib.util.find_spec(name)
    return known is not None and Path(known.origin or "").resolve() != file.resolve()


def _trace(manager: pluggy.PluginManager) -> None:
    def before(name: str, implementations: list[Any], _arguments: dict[str, Any]) -> None:
        _note(f"{name} -> {', '.join(str(each.plugin_name) for each in implementations) or 'nobody'}")

    manager.add_hookcall_monitoring(before, lambda *_: None)


def _note(line: str) -> None:
    if os.environ.get("VLZOO_TRACE") == "1":
        print(f"vlzoo trace: {line}", file=sys.stderr)
