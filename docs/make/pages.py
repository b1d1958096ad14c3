"""Collects what the site shows in `build/pages`: the pages of the repository where they lie, and the reference.

    python docs/make/pages.py && zensical build --strict

The reference is made of what is registered: a page for each kind of part, with its base class and the parts that there
are; the hooks; what parts are given and give; the calls from Python; the checks of `vlzoo.testing`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import vlzoo
from vlzoo.door.options import schema_of
from vlzoo.door.parts import FUNCTIONS, KINDS, Part
from vlzoo.door.plugins import registry

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "pages"
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "plugins/README.md", "plugins/*/README.md")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
"""A link to a file: no address, and no place of the same page."""

BASES = {
    "image_encoder": "ImageEncoder",
    "text_encoder": "TextEncoder",
    "token_mask": "TokenMask",
    "data": "Source",
    "model_family": "ModelFamily",
}
"""Kinds whose base class is not called as they are."""
CALLS = ("load", "LoadedModel", "pretrain", "finetune", "Trained", "measure")


def main() -> None:
    """Make the folder anew."""
    shutil.rmtree(OUT, ignore_errors=True)
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            take(page)
    reference = OUT / "docs" / "reference"
    reference.mkdir()
    bases = {kind: base for kind in KINDS if (base := BASES.get(kind, kind.capitalize())) in vlzoo.__all__}
    for kind in KINDS:
        write(reference / f"{kind}.md", kind.replace("_", " "), of_kind(kind, bases.get(kind)))
    rest = [name for name in vlzoo.__all__ if name not in (*bases.values(), *CALLS, "hookimpl")]
    write(reference / "hooks.md", "Hooks", ["What a plugin may implement; all are optional.", member("door.hookspecs")])
    write(reference / "values.md", "What parts are given and give", [member(place(name)) for name in rest])
    write(reference / "calls.md", "Calls from Python", [member(place(name)) for name in CALLS])
    write(reference / "testing.md", "Checks of your own part", checks())


def take(page: Path) -> None:
    """Copy a page, and what it links to that is no page: recipes, modules."""
    for file in (page, *(page.parent / link for link in LINK.findall(page.read_text(encoding="utf-8")))):
        if file.is_file():
            there = OUT / file.resolve().relative_to(ROOT)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, there)


def of_kind(kind: str, base: str | None) -> Iterable[str]:
    """What a kind is, the parts of it that there are, and its base class."""
    yield f"{KINDS[kind].capitalize()}. `vlzoo list {kind}` shows what is installed:"
    rows = [
        f"| `{part.name}` | {part.summary} | {options(part, kind)} | {part.owner} |" for part in registry().of(kind)
    ]
    yield "\n".join(["| name | | options | from |", "|---|---|---|---|", *rows])
    if base is not None:
        yield f"## To write one\n\n`vlzoo new {kind} NAME` writes a package to begin with; `from vlzoo import {base}`."
        yield member(place(base))


def options(part: Part, kind: str) -> str:
    """A part's options by name."""
    if kind in (*FUNCTIONS, "method"):
        return ""
    return ", ".join(f"`{option.name}`" for option in schema_of(part).options)


def checks() -> Iterable[str]:
    """Every check, a kind each."""
    from vlzoo import testing

    for name in sorted(testing.__all__):
        if name.startswith("check_"):
            yield member(f"testing.{name}")


def place(name: str) -> str:
    """Where a name of the package is defined, below it."""
    found = getattr(vlzoo, name)
    return f"{found.__module__}.{name}".removeprefix("vlzoo.")


def member(name: str) -> str:
    """What mkdocstrings turns into the description of something of the package."""
    return f"::: vlzoo.{name}"


def write(page: Path, title: str, parts: Iterable[str]) -> None:
    """A page of paragraphs."""
    page.write_text("\n\n".join([f"# {title[0].upper()}{title[1:]}", *parts, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
