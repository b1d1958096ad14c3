"""`vlzoo doctor`: the environment, the plugins, and what is wrong with them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlzoo import __version__
from vlzoo.cli.output import as_json, table
from vlzoo.config.compose import method_file
from vlzoo.door.hookspecs import API
from vlzoo.door.plugins import Plugin, disabled, door, plain, registry
from vlzoo.errors import VlzooError
from vlzoo.machine import processor
from vlzoo.resources import cache_dir

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@click.command("doctor")
@click.option("--import", "import_", is_flag=True, help="Import every part too (imports torch).")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def command(import_: bool, json_: bool) -> int:
    """Show the environment, every plugin and what is wrong with it. Exit code 1 where something is."""
    opened = door()
    failed = _imported() if import_ else []
    missing = [fault for requirement in _requirements() if (fault := _fault(requirement))]
    if _version("vlzoo") is None:
        missing.append("vlzoo is not installed, so its parts are not found -> pip install -e . in its folder")
    if json_:
        described: dict[str, object] = {"environment": _environment()}
        described["plugins"] = [_describe(plugin) for plugin in opened.plugins]
        described["clashes"] = opened.registry.clashes()
        parts = [{"reason": error.what, "where": error.where, "fix": error.fix} for error in failed]
        as_json(described | ({"parts": parts} if import_ else {}))
    else:
        table([[name, value] for name, value in _environment().items()])
        click.echo("\nplugins")
        table([_line(plugin) for plugin in opened.plugins], indent=2, wrap=3)
        _complain(opened.plugins, [*missing, *map(str, failed)])
    return 1 if opened.broken or missing or failed else 0


def _imported() -> list[VlzooError]:
    """The errors of parts that can't be imported."""
    failed: list[VlzooError] = []
    for part in registry():
        try:
            method_file(part) if part.kind == "method" else part.load()
        except VlzooError as error:
            failed.append(error)
    return failed


def _environment() -> dict[str, str]:
    found = {
        "vlzoo": __version__,
        "plugin API": str(API),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "prefix": sys.prefix,
        "cores": str(os.cpu_count()),
    }
    found |= {each.name: _version(each.name) or "MISSING" for each in _requirements()}
    found |= {each.name: _version(each.name) or "not installed (optional)" for each in _requirements(optional=True)}
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return found | {"free disk": f"{free:.0f} GiB", "cache": str(cache_dir())}


@cache
def _requirements(*, optional: bool = False) -> list[Requirement]:
    """What vlzoo's own metadata says it needs; `optional`: what its extras add, but for the developers'."""
    from packaging.requirements import Requirement

    if _version("vlzoo") is None:
        return []
    stated = [Requirement(line) for line in importlib.metadata.requires("vlzoo") or ()]
    extras = [name for name in importlib.metadata.metadata("vlzoo").get_all("Provides-Extra") or () if name != "dev"]
    always = [each for each in stated if each.marker is None or each.marker.evaluate({"extra": ""})]
    if not optional:
        return always
    chosen = [each for each in stated for name in extras if each.marker and each.marker.evaluate({"extra": name})]
    return [each for each in chosen if each not in always]


def _fault(requirement: Requirement) -> str:
    """What is wrong with an installed requirement, and the command that mends it; empty where it is fine."""
    version = _version(requirement.name)
    if version is None:
        return f"{requirement.name} is missing -> pip install {requirement.name}"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} does not fit -> pip install '{requirement.name}{requirement.specifier}'"
    return ""


@cache
def _version(name: str) -> str | None:
    # From the metadata: importing torch for its version would take seconds.
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _status(plugin: Plugin) -> str:
    if plugin.error:
        return "broken"
    return "left out" if plugin.disabled else "ok"


def _line(plugin: Plugin) -> list[str]:
    loaded = plugin.loaded
    about = "by VLZOO_DISABLE_PLUGINS" if plugin.disabled else plugin.error.what if plugin.error else ""
    if loaded:
        supplied = f"{len(loaded.parts)} parts" + f", {len(loaded.commands)} commands" * bool(loaded.commands)
        supplied += f", plugin API {loaded.api}" * (loaded.api is not None)
        time = [] if plugin.slow else [f"loaded in {loaded.seconds:.3f} s"]
        about = "; ".join([supplied, *plugin.remarks, *time])
    return [plugin.owner.entry, str(plugin.owner), _status(plugin), about]


def _describe(plugin: Plugin) -> dict[str, object]:
    loaded, error = plugin.loaded, plugin.error
    about: dict[str, object] = {
        "entry": plugin.owner.entry,
        "distribution": plugin.owner.dist,
        "version": plugin.owner.version,
        "status": _status(plugin),
    }
    if loaded:
        about |= {
            "parts": len(loaded.parts),
            "hooks": loaded.hooks,
            "seconds": loaded.seconds,
            "remarks": plugin.remarks,
            "api": loaded.api,
        }
    if error:
        about |= {"reason": error.what, "where": error.where, "fix": error.fix}
    return about


def _complain(plugins: list[Plugin], missing: list[str]) -> None:
    click.echo()
    for fault in missing:
        click.echo(f"! {fault}")
    for plugin in plugins:
        if plugin.error:
            click.echo(f"! {plugin.owner.entry} did not load: {plugin.error}")
    for clash in registry().clashes():
        click.echo(f"! {clash}")
    for name in sorted(disabled() - {plain(n) for each in plugins for n in (each.owner.dist, each.owner.entry)}):
        click.echo(f"! VLZOO_DISABLE_PLUGINS names {name!r}, and there is no such plugin")
    if not missing and not any(plugin.error for plugin in plugins):
        click.echo("nothing is wrong")
