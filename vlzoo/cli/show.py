"""`vlzoo show`: one part's options, types, defaults and paper; a recipe with the origin of each value; or a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.complete import OBJECTIVES, completing, parts, recipes
from vlzoo.cli.output import as_json, table
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import UnknownName
from vlzoo.screen import window, wrapped

if TYPE_CHECKING:
    from vlzoo.config.resolved import Resolved
    from vlzoo.door.parts import Part


@click.command("show")
@click.argument("name", metavar="PART|RECIPE|RUN", shell_complete=completing(parts(), recipes, files=True))
@click.option("--resolved", is_flag=True, help="A recipe with every value written out, and where it comes from.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe first.")
@click.option(
    "--with",
    "extra",
    multiple=True,
    metavar="OBJECTIVE",
    shell_complete=OBJECTIVES,
    help="Add an objective to the recipe first.",
)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def command(name: str, resolved: bool, sets: tuple[str, ...], extra: tuple[str, ...], json_: bool) -> None:
    """Show what a part is and takes, what a recipe says, or what a run is.

    PART is a name (itc), a kind with a name (objective/itc) or a distribution with a name (vlzoo:itc).
    RECIPE is a file, or a name such as albef or tasks/vqa.
    RUN is a run's folder, or package:PACKAGE/RUN: its parts, plugins, data, steps, checkpoints and figures; --resolved
    shows its recipe.
    """
    from vlzoo.runs.packaged import run_folder

    folder = run_folder(name)
    if (folder / "recipe.yaml").is_file() and not (sets or extra):
        _show_run(folder, resolved, json_)
        with suppress(UnknownName):  # `run` is a model family, too, and a usual name of a run
            part = registry().search(name)[0]
            click.echo(f"{name!r} is a part, too: vlzoo show {part.kind}/{part.name}", err=True)
        return
    if resolved or sets or extra or name.endswith((".yaml", ".yml")):
        _show_resolved(name, sets, extra, json_)
        return
    try:
        parts = registry().search(name)
    except UnknownName as missing:
        _show_file(_recipe_file(name, missing), name, json_)
        return
    if json_:
        as_json([_describe(part) for part in parts])
        return
    for index, part in enumerate(parts):
        click.echo("\n" * bool(index), nl=False)
        _show_recipe(part) if part.kind == "method" else _show_part(part)


def _show_run(folder: Path, resolved: bool, json_: bool) -> None:
    from vlzoo.config.resolved import rows
    from vlzoo.runs.run import Run
    from vlzoo.runs.summary import summary

    run = Run(folder)
    if resolved:
        _print_values(rows(run.checked()), json_)
        return
    found = summary(run)
    if json_:
        as_json([{"kind": "run", **found}])
        return
    click.echo(click.style(f"run {found['run']}", bold=True) + f"  (of {found['recipe']}, vlzoo {found['vlzoo']})")
    table([[key, value] for key, value in _run_lines(found) if value], wrap=1)
    if found["figures"]:
        click.echo("figures")
        table([_figure_line(each, found["run"]) for each in found["figures"]], indent=2)


def _run_lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """A run's summary, a line a row."""
    number, noted = "{:,}".format, found["steps"]
    steps = f"{number(found['step'])} of {number(noted)}" if noted else number(found["step"])
    kept, best = ", ".join(map(str, found["checkpoints"])) or "none", found["best"]
    last = {name: value for name, value in (found["last"] or {}).items() if isinstance(value, float) and name != "time"}
    return [
        ("started", str(found["started"] or "")),
        ("command", shlex.join(map(str, found["command"] or ()))),
        ("seed", str(found["seed"])),
        ("task", found["task"] or ""),
        *((place.replace("_", " ").replace(".", " "), part) for place, part in found["parts"].items()),
        ("objectives", ", ".join(found["objectives"])),
        ("parameters", number(found["parameters"]) if found["parameters"] else ""),
        *(("data", f"{d['name']}, {number(d['samples'])} samples, {d['fingerprint']}") for d in found["data"]),
        *(("plugin", _plugin_line(each)) for each in found["plugins"]),
        ("steps", steps),
        ("checkpoints", kept),
        ("best", f"step {best['step']}: {best['metric']} {best['value']:.2f}" if best else ""),
        ("last losses", ", ".join(f"{name} {value:.4g}" for name, value in last.items())),
        ("fine-tuned", ", ".join(found["finetuned"])),
    ]


def _plugin_line(plugin: dict[str, Any]) -> str:
    now = plugin["now"]
    changed = "; not installed now" if now is None else f"; now {now}" if now != plugin["version"] else ""
    used = f" ({', '.join(plugin['parts'])})" if plugin["parts"] else ""
    return f"{plugin['name']} {plugin['version']}{used}{changed}"


def _figure_line(score: dict[str, Any], run: str) -> list[str]:
    low_high = score["interval"]
    interval = f"[{low_high[0]:.2f}, {low_high[1]:.2f}]" if low_high else ""
    value = f"{score['value']:.2f} {score['unit']}" if isinstance(score["value"], float) else str(score["value"])
    tuned = "" if score["run"] == run else f"of {score['run']}"
    return [str(score["protocol"]), str(score["metric"]), value, interval, str(score["data"]), tuned]


def _recipe_file(name: str, missing: UnknownName) -> Path:
    """The file of a recipe that is no registered part, `tasks/vqa` for instance."""
    from vlzoo.config.compose import find_file

    try:
        return find_file(name)
    except UnknownName:
        raise missing from None


def _show_file(file: Path, name: str, json_: bool) -> None:
    text = file.read_text(encoding="utf-8").rstrip()
    if json_:
        as_json([{"kind": "recipe", "name": name, "file": str(file), "text": text}])
    else:
        click.echo(text)


def _show_part(part: Part) -> None:
    schema = schema_of(part)
    click.echo(click.style(f"{part.kind} {part.name}", bold=True) + f"  ({part.owner})")
    click.echo("\n".join(wrapped(part.summary, window())))
    if schema.doc and schema.doc.rstrip(".") != part.summary.rstrip("."):
        click.echo("\n".join(wrapped(schema.doc, window())))
    table([[k, v] for k, v in (("paper", part.paper), ("code", part.target), ("defined", schema.where)) if v])
    if not schema.options:
        click.echo("options: none" + ", or any (`**kwargs`)" * schema.open)
        return
    click.echo("options:" + " (and any other)" * schema.open)
    rows = [
        [o.name, o.type or "any", "required" if o.default is None else f"= {o.default}", o.about]
        for o in schema.options
    ]
    table(rows, indent=2, wrap=3)


def _show_recipe(part: Part) -> None:
    from vlzoo.config.compose import display, method_file

    file = method_file(part)
    click.echo(click.style(f"method {part.name}", bold=True) + f"  ({part.owner}, {display(file)})")
    click.echo(file.read_text(encoding="utf-8").rstrip())


def _show_resolved(name: str, sets: tuple[str, ...], extra: tuple[str, ...], json_: bool) -> None:
    from vlzoo.config.check import load
    from vlzoo.config.resolved import rows

    _print_values(rows(load(name, sets=sets, extra=extra)), json_)


def _print_values(values: Sequence[Resolved], json_: bool) -> None:
    if json_:
        as_json([{"key": key, "value": value, "origin": origin} for key, value, origin in values])
        return
    table(
        [[key, repr(value) if type(value) is not str else json.dumps(value), origin] for key, value, origin in values]
    )


def _describe(part: Part) -> dict[str, Any]:
    schema = schema_of(part)
    owner = {"distribution": part.owner.dist, "version": part.owner.version}
    options = [{"name": o.name, "type": o.type, "default": o.default, "about": o.about} for o in schema.options]
    about = {"kind": part.kind, "name": part.name, "summary": part.summary, "paper": part.paper, "target": part.target}
    return {**about, **owner, "options": options, "open": schema.open, "doc": schema.doc}
