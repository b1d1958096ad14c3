"""The plugin door: load each plugin by itself, and know who supplied what."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pluggy

from vlzoo import __version__
from vlzoo.door.cache import Cache, fingerprint, key_of
from vlzoo.door.find import Candidate, find
from vlzoo.door.load import Loaded, commands_of, isolated, load, new_manager
from vlzoo.door.parts import CORE, Owner
from vlzoo.door.registry import Registry
from vlzoo.errors import PluginError

if TYPE_CHECKING:
    import click


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
    silenced: set[str] = field(default_factory=set)

    @property
    def broken(self) -> list[Plugin]:
        """The plugins that did not load."""
        return [plugin for plugin in self.plugins if plugin.error]

    def hook(self, name: str) -> pluggy.HookCaller:
        """The caller of a hook, once every plugin that implements it is imported.

        A remembered plugin that no longer imports is named on standard error and left out.
        """
        for index, plugin in enumerate(self.plugins):
            if plugin.loaded and not plugin.error and name in plugin.loaded.hooks:
                try:
                    self._admit(plugin)
                except PluginError as error:
                    self.plugins[index] = replace(plugin, error=error)
                    print(f"! {plugin.owner.entry} is left out: {error}", file=sys.stderr)
        caller: pluggy.HookCaller = getattr(self.manager.hook, name)
        return caller

    def notify(self, name: str, **values: Any) -> None:
        """Call a hook that only observes: one that raises is named, left out from then on, and stops nothing."""
        for implementation in self.hook(name).get_hookimpls():
            if implementation.plugin_name in self.silenced:
                continue
            try:
                implementation.function(**{each: values[each] for each in implementation.argnames})
            except Exception as error:
                print(f"! {implementation.plugin_name} is left out: {name}: {error!r}", file=sys.stderr)
                self.silenced.add(implementation.plugin_name)

    def commands(self) -> dict[str, list[Plugin]]:
        """The plugins' sub-commands by name, with those who supply each; nothing is imported."""
        found: dict[str, list[Plugin]] = {}
        for plugin in self.plugins:
            for name, _ in plugin.loaded.commands if plugin.loaded else ():
                found.setdefault(name, []).append(plugin)
        return found

    def command(self, name: str) -> click.Command | None:
        """A plugin's sub-command, imported now; None where no plugin supplies it.

        Raises:
            PluginError: two plugins supply it, or the one that does no longer imports.
        """
        suppliers = self.commands().get(name, [])
        if len(suppliers) > 1:
            raise PluginError(
                f"the command {name!r} is supplied by both {' and '.join(str(each.owner) for each in suppliers)}",
                fix=f"leave one out: VLZOO_DISABLE_PLUGINS={suppliers[0].owner.dist}",
            )
        if not suppliers:
            return None
        with isolated(suppliers[0].owner):
            return commands_of(suppliers[0].candidate.bring())[name]

    def _admit(self, plugin: Plugin) -> None:
        with isolated(plugin.owner):
            module = plugin.candidate.bring()
            if not self.manager.is_registered(module):
                self.manager.register(module, name=f"{plugin.owner.dist}:{plugin.owner.entry}")


@cache
def door() -> Door:
    """The door of this process: every plugin found and loaded, once.

    Raises:
        PluginError: a file named by `--plugin` does not load. What is installed can fail without stopping anybody;
            a file that was asked for can't.
    """
    opened, remembered = Door(), Cache()
    if _tracing():
        _trace(opened.manager)
    left_out = disabled()
    for candidate in find():
        if {plain(candidate.owner.dist), plain(candidate.owner.entry)} & left_out and candidate.owner.dist != CORE:
            opened.plugins.append(Plugin(candidate, disabled=True))
        else:
            opened.plugins.append(_enter(candidate, opened.registry, remembered))
    remembered.save()
    opened.registry.absent = [str(plugin.owner) for plugin in opened.broken]
    for plugin in opened.broken:
        if plugin.candidate.file and plugin.error:
            raise plugin.error
    return opened


def registry() -> Registry:
    """The parts of every plugin that loaded."""
    return door().registry


def disabled() -> set[str]:
    """The distributions and entry points that VLZOO_DISABLE_PLUGINS leaves out."""
    return {plain(name.strip()) for name in os.environ.get("VLZOO_DISABLE_PLUGINS", "").split(",")} - {""}


def plain(name: str) -> str:
    """A name as pip compares names: `Vlzoo_Trimmed` is `vlzoo-trimmed`."""
    return name.lower().replace("_", "-").replace(".", "-")


def _enter(candidate: Candidate, registry: Registry, remembered: Cache) -> Plugin:
    """Load one plugin, or recall what it registered; whatever it does, the others are not touched."""
    owner = candidate.owner
    # The core is light and changes while it is developed; a single file is there to be edited.
    keep = owner.dist != CORE and candidate.file is None and os.environ.get("VLZOO_NO_CACHE") != "1"
    files = fingerprint(candidate.module) if keep else None
    key = key_of(owner, candidate.module, files, candidate.requires) if files else None
    recalled = remembered.get(owner, key) if key else None
    started = time.perf_counter()
    try:
        loaded = recalled or load(candidate.bring, owner, __version__)
        registry.add(loaded.parts)
    except PluginError as error:
        return Plugin(candidate, error=error)
    finally:
        _note(f"vlzoo_register <- {owner} ({time.perf_counter() - started:.3f} s{', remembered' * bool(recalled)})")
    if key and not recalled:
        remembered.put(owner, key, loaded)
    return Plugin(candidate, loaded, remembered=recalled is not None)


def _tracing() -> bool:
    return os.environ.get("VLZOO_TRACE") == "1"


def _trace(manager: pluggy.PluginManager) -> None:
    def before(name: str, implementations: Sequence[Any], _arguments: Mapping[str, Any]) -> None:
        _note(f"{name} -> {', '.join(str(each.plugin_name) for each in implementations) or 'nobody'}")

    manager.add_hookcall_monitoring(before, lambda *_: None)


def _note(line: str) -> None:
    if _tracing():
        print(f"vlzoo trace: {line}", file=sys.stderr)
