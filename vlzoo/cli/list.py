"""`vlzoo list`: every part, and which package and version supplied it."""

from __future__ import annotations

from typing import Any

import click

from vlzoo.cli.complete import completing, kinds
from vlzoo.cli.output import as_json, table
from vlzoo.door.parts import KINDS, Part
from vlzoo.door.plugins import Door, Plugin, door

ABOUT = f"""Name every part, with one line about it and the package that supplied it.

KIND narrows the list: {", ".join(list(KINDS)[:-1])} or {list(KINDS)[-1]}.
"""


@click.command("list", help=ABOUT)
@click.argument("kind", required=False, shell_complete=completing(kinds))
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def command(kind: str | None, json_: bool) -> None:
    """Print the parts, and on standard error what is wrong with plugins, and names that two of them supply."""
    opened = door()
    parts = opened.registry.of(kind) if kind else list(opened.registry)
    if json_:
        remarks = [_row(each) | {"remarks": each.remarks} for each in opened.plugins if each.remarks]
        broken = [_row(each) | _reason(each) for each in opened.broken]
        about = {"broken": broken, "remarks": remarks, "clashes": opened.registry.clashes()}
        as_json({"parts": [_describe(part) for part in parts], **about})
        return
    shared = _ambiguous(opened)
    for name in KINDS if kind is None else (kind,):
        rows = [p for p in parts if p.kind == name]
        if rows:
            click.echo(click.style(name, bold=True) + f"  ({KINDS[name]})")
            table([_line(part, shared) for part in rows], indent=2, wrap=1)
    if kind and not parts:
        click.echo(f"no {kind} is registered; a plugin can supply one")
    for plugin in opened.broken:
        click.echo(f"! {plugin.owner.entry} did not load: {plugin.error}", err=True)
    for plugin in opened.plugins:
        for remark in plugin.remarks:
            click.echo(f"! {plugin.owner.entry} {remark}: {plugin.owner}", err=True)
    for clash in opened.registry.clashes():
        click.echo(f"! {clash}", err=True)


def _ambiguous(opened: Door) -> set[tuple[str, str]]:
    """The kinds and names that two distributions supply."""
    places = [(part.kind, part.name) for part in opened.registry]
    return {place for place in places if places.count(place) > 1}


def _line(part: Part, shared: set[tuple[str, str]]) -> list[str]:
    name = part.qualified if (part.kind, part.name) in shared else part.name
    return [name, part.summary, str(part.owner)]


def _describe(part: Part) -> dict[str, str]:
    owner = part.owner
    about = {"kind": part.kind, "name": part.name, "qualified": part.qualified, "summary": part.summary}
    return {**about, "distribution": owner.dist, "version": owner.version, "target": part.target, "paper": part.paper}


def _row(plugin: Plugin) -> dict[str, Any]:
    return {"entry": plugin.owner.entry, "distribution": plugin.owner.dist, "version": plugin.owner.version}


def _reason(plugin: Plugin) -> dict[str, str | None]:
    error = plugin.error
    return {"reason": error.what, "where": error.where, "fix": error.fix} if error else {}
