"""`vlzoo data list` and `vlzoo data check`: which data there are, and whether yours are complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vlzoo.cli.complete import SOURCES
from vlzoo.cli.output import as_json, table
from vlzoo.config.tree import assignment
from vlzoo.data.cards import Card, sizes_text
from vlzoo.door.parts import Part
from vlzoo.errors import DataError

NAMED = 5
"""How many missing pictures are named."""


@click.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def list_sources(json_: bool) -> None:
    """Name every data source: what it holds, its splits with their official sizes, its licence."""
    from vlzoo.door.plugins import registry

    rows = [_row(part) for part in registry().of("data")]
    if json_:
        as_json(rows)
        return
    table([("name", "holds", "splits, with official sizes", "licence"), *map(_line, rows)], wrap=2)


def _row(part: Part) -> dict[str, Any]:
    source = part.load()
    card: Card | None = getattr(source, "card", None)
    about = {"name": part.name, "summary": part.summary, "pairing": getattr(source, "pairing", "")}
    facts = {"splits": list(getattr(source, "splits", ())), "sizes": dict(card.sizes) if card else {}}
    texts = {"licence": card.licence if card else "", "homepage": card.homepage if card else ""}
    return {**about, **facts, **texts, "supplied by": str(part.owner)}


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    splits = [f"{s} ({sizes_text(row['sizes'][s])})" if s in row["sizes"] else s for s in row["splits"]]
    licence = row["licence"].split(";")[0]
    pairing = row["pairing"] if isinstance(row["pairing"], str) else "pair"
    return row["name"], pairing, ", ".join(splits), licence if len(licence) <= 48 else licence[:45] + "..."


@click.command("show")
@click.argument("name", shell_complete=SOURCES)
def show(name: str) -> None:
    """Print the card of a data source: licence, citation, official sizes, the layout expected, where to get it."""
    from vlzoo.door.plugins import registry

    part = registry().find("data", name)
    card: Card | None = getattr(part.load(), "card", None)
    click.echo(card.text() if card else f"{part.name}: {part.summary} (no card; supplied by {part.owner})")


@click.command("check")
@click.argument("name", shell_complete=SOURCES)
@click.option("--root", required=True, metavar="DIR", help="The folder that holds the data.")
@click.option("--split", help="Only this split; else all that there are.")
@click.option("--images", is_flag=True, help="Decode every picture, too, and count those that can't be read.")
@click.option("--faults", metavar="FILE", help="Write all faults there as json lines; sources take it as `skip`.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="An option of the source.")
def check(name: str, root: str, split: str | None, images: bool, faults: str | None, settings: tuple[str, ...]) -> int:
    """Say what of a data source is missing or broken below DIR, and the layout expected.

    NAME is a data source, or a mixture of zoo_configs/data. Exits with 1 where something is missing.
    """
    from vlzoo.data.faults import Faults

    options = dict(assignment(each, "--set") for each in settings)
    if "root" in options:
        raise DataError(f"the folder is given by --root: {root}", where="--set root", fix="leave one of them out")
    if faults:
        _check_list(Path(faults))
    found = Faults(name, allowed=1.0)
    sources = list(_sources(name, root, split, options))  # all of them before any is read
    complete = [_check(source, images=images, found=found) for source in sources]
    if faults:
        found.write(faults)
        click.echo(f"{len(found.listed):,} faults written to {faults}")
    return 0 if all(complete) else 1


def _check_list(path: Path) -> None:
    """Refuse a place where the list of faults can't be written: pictures may be decoded for hours before."""
    from vlzoo.files import check_place

    if not path.parent.is_dir():
        there = "no folder" if path.parent.exists() else "no such folder"
        raise DataError(f"there is {there} {str(path.parent)!r}", where="--faults", fix="make it, or write elsewhere")
    check_place(path, "the list of faults", fix="write it elsewhere")


def _sources(name: str, root: str, split: str | None, options: dict[str, Any]) -> Iterator[Any]:
    """The sources to check, each of one split. A mixture is checked part by part."""
    from vlzoo.data.build import build_source
    from vlzoo.door.plugins import registry

    shipped = _mixture(name)
    if shipped is None:
        part = registry().find("data", name)
        given = split or options.pop("split", None)
        for each in [given] if given is not None else getattr(part.load(), "splits", [None]):
            chosen = {"split": each} if each is not None else {}
            yield build_source(part.qualified, {"root": root, **options, **chosen}, where="--set")
        return
    for piece in shipped:
        chosen = {"split": split} if split else {}
        given = {"root": piece.below(root), **piece.options, **options, **chosen}
        yield build_source(piece.part, given, where=piece.where)


def _mixture(name: str) -> Any:
    from vlzoo.resources import zoo_configs

    shipped = zoo_configs() / "data" / f"{name}.yaml"
    file = Path(name) if name.endswith((".yaml", ".yml")) else shipped
    if file == shipped and not shipped.is_file():
        return None
    from vlzoo.data.mixture_file import read_mixture

    return read_mixture(file)[1]


def _check(source: Any, *, images: bool, found: Any) -> bool:
    """Check one split and print what was found; whether it is complete. What only a `Source` has may be lacking."""
    try:
        lines: list[str] = getattr(source, "missing", list)()
        if lines:
            click.echo(f"{source.name}: incomplete")
            for line in lines:
                click.echo(f"  missing: {line}" if ": missing" not in line else f"  {line}")
        else:
            return _contents(source, images, found)
    except DataError as error:
        click.echo(f"{source.name}: {error}")
        found.skip("broken", source.name, error.what)
    if card := getattr(source, "card", None):
        click.echo(card.layout_text())
        if card.get:
            click.echo(f"  get it: {card.get}")
    return False


def _contents(source: Any, images: bool, found: Any) -> bool:
    """Read a split and print its sizes, faults and fingerprint; whether every picture is there."""
    import warnings

    from vlzoo.data.build import require_samples
    from vlzoo.data.checks import absent_images, check_images
    from vlzoo.data.faults import Faults

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        require_samples(source)
    described = getattr(source, "describe", lambda: source.name)()
    click.echo(f"{described}; {len(source):,} samples; fingerprint {source.fingerprint()}")
    for note in caught:
        click.echo(f"  note: {note.message}")
    if (faults := getattr(source, "faults", None)) is not None:
        found.merge(faults)
        for line in faults.lines():
            click.echo(f"  {line}")
    pictures = Faults(source.name, allowed=1.0)
    total = check_images(source, pictures) if images else absent_images(source, pictures)
    broken = sum(pictures.skipped.values())
    if images:
        click.echo(f"  {broken:,} of {total:,} pictures can't be read")
    for fault in pictures.listed[:NAMED]:
        click.echo(f"  {fault}")
    if broken > NAMED:
        click.echo(f"  ... and {broken - NAMED:,} more; --faults FILE lists them")
    found.merge(pictures)
    return broken == 0
