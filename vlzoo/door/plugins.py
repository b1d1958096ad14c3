"""The plugin door: load each plugin by itself, and know who supplied what."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import pluggy

from vlzoo import __version__
from vlzoo.door.find import Candidate, find
from vlzoo.door.load import Loaded, label, load, new_manager
from vlzoo.door.parts import CORE, Owner
from vlzoo.door.registry import Registry
from vlzoo.errors import PluginError

if TYPE_CHECKING:
    import click

SLOW_S = 0.5
"""A plugin that takes longer to load is named: every command waits for it."""


@dataclass(frozen=True)
class Plugin:
    """A plugin after loading: what it supplies, or why it supplies nothing.

    Attributes:
        candidate: what was found.
        loaded: what it supplies; None where it failed or was left out.
        error: why it failed.
        disabled: left out by VLZOO_DISABLE_PLUGINS.
    """

    candidate: Candidate
    loaded: Loaded | None = None
    error: PluginError | None = None
    disabled: bool = False

    @property
    def owner(self) -> Owner:
        """Who supplies it."""
        return self.candidate.owner

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its author should mend though it works."""
        return (*(self.loaded.remarks if self.loaded else ()), *filter(None, [self.slow]))

    @property
    def slow(self) -> str:
        """What to say of a plugin that takes long to load; empty where it does not."""
        if self.loaded is None or self.loaded.seconds <= SLOW_S or self.owner.dist == CORE:
            return ""
        return f"took {self.loaded.seconds:.1f} s to load, and every command waits for it"


@dataclass
class Door:
    """Everything that came in: the registry, the plugins, and the hooks to call."""

    registry: Registry = field(default_factory=Registry)
    plugins: list[Plugin] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=new_manager)

    @property
    def broken(self) -> list[Plugin]:
        """The plugins that did not load."""
        return [plugin for plugin in self.plugins if plugin.error]

    def add(self, candidate: Candidate) -> None:
        """Load one plugin; whatever it does, the others are not touched."""
        core = [plugin.loaded for plugin in self.plugins if plugin.owner.dist == CORE]
        taken = {name for loaded in core if loaded for name in loaded.commands}
        try:
            loaded = load(candidate, __version__, taken)
            self.registry.add(loaded.parts)
        except PluginError as error:
            self.plugins.append(Plugin(candidate, error=error))
            return
        self.plugins.append(Plugin(candidate, loaded))
        if not self.manager.is_registered(loaded.module):  # two entry points may name one module
            self.manager.register(loaded.module, name=label(candidate.owner))

    def notify(self, name: str, **values: Any) -> None:
        """Call a hook that only observes: one that raises is named, left out from then on, and stops nothing."""
        caller: pluggy.HookCaller = getattr(self.manager.hook, name)
        observers = {each.plugin_name: each.plugin for each in caller.get_hookimpls()}
        if not observers:
            caller(**values)  # nobody, and `--trace` says so
        for observer, module in observers.items():
            others = [each for each in observers.values() if each is not module]
            try:
                self.manager.subset_hook_caller(name, others)(**values)
            except (Exception, SystemExit) as error:
                print(f"! {observer} is left out: {name}: {error!r}", file=sys.stderr)
                self.manager.unregister(module)

    def commands(self) -> dict[str, list[Plugin]]:
        """The plugins' sub-commands by name, with those who supply each."""
        found: dict[str, list[Plugin]] = {}
        for plugin in self.plugins:
            for name in plugin.loaded.commands if plugin.loaded else ():
                found.setdefault(name, []).append(plugin)
        return found

    def command(self, name: str) -> click.Command | None:
        """The sub-command called `name`; None where no plugin supplies it.

        Raises:
            PluginError: two plugins supply it.
        """
        suppliers = self.commands().get(name, [])
        if len(suppliers) > 1:
            raise PluginError(
                f"the command {name!r} is supplied by both {' and '.join(str(each.owner) for each in suppliers)}",
                fix=f"leave one out: VLZOO_DISABLE_PLUGINS={suppliers[0].owner.dist}",
            )
        return next((each.loaded.commands[name] for each in suppliers if each.loaded), None)


@cache
def door() -> Door:
    """The door of this process: every plugin found and loaded, once.

    Raises:
        PluginError: a file named by `--plugin` does not load. What is installed can fail without stopping anybody;
            a file that was asked for can't.
    """
    opened = Door()
    left_out = disabled()
    for candidate in find():
        owner = candidate.owner
        if {plain(owner.dist), plain(owner.entry)} & left_out and owner.dist != CORE:
            opened.plugins.append(Plugin(candidate, disabled=True))
        else:
            opened.add(candidate)
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
