"""What is wrong with the parts that a recipe names, and with their options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from vlzoo.config import schema
from vlzoo.config.references import references
from vlzoo.config.tree import Path_, Tree, dotted, leaves
from vlzoo.config.values import beyond, misfit, shown
from vlzoo.door.options import Schema, schema_of
from vlzoo.door.parts import Part
from vlzoo.door.plugins import registry
from vlzoo.errors import Problem, UnknownName, VlzooError, did_you_mean

BESIDE: dict[str, type[BaseModel]] = {
    "tokenizer": schema.Tokenizer,
    "start": schema.Start,
    "objectives": schema.ObjectiveRef,
    "validation": schema.Validation,
}
"""Sections whose own keys stand beside a part's options."""


def part_problems(tree: Tree, *, whole: bool = True) -> Iterator[Problem]:
    """Unknown parts and what is wrong with their options; unless `whole`, the options needed may stand elsewhere."""
    for kind, path, name, options in references(tree.data):
        where = tree.origin((*path, "part"))
        try:
            part = registry().find(kind, name)
            yield from option_problems(part, schema_of(part), options, path, tree)
            if whole:
                yield from _missing_options(part, schema_of(part), options, path, tree)
        except UnknownName as error:
            yield Problem(where, dotted(path), error.what, error.fix)
        except VlzooError as error:
            yield Problem(where, dotted(path), str(error))


def option_problems(part: Part, known: Schema, given: dict[str, Any], path: Path_, tree: Tree) -> Iterator[Problem]:
    """What is wrong with a part's options."""
    types = {option.name: option for option in known.options}
    for name, value in given.items():
        where, here = tree.origin((*path, name)), dotted((*path, name))
        if name not in types:
            if not known.open:
                what = f"{part.kind} {part.name!r} takes no option {name!r}"
                keys = BESIDE[str(path[0])].model_fields if path[0] in BESIDE and part.kind != "data" else ()
                said = "keys and options" if keys else "options"
                yield Problem(where, here, what, did_you_mean(name, [*types, *keys], what=said))
        elif reason := misfit(value, types[name].type):
            yield Problem(where, here, reason)
            continue
        for inner, number in leaves(value, (*path, name)):
            if beyond(number):
                yield Problem(
                    tree.origin(inner), dotted(inner), f"{shown(number)} is beyond what a part can compute with"
                )


def _missing_options(part: Part, known: Schema, given: dict[str, Any], path: Path_, tree: Tree) -> Iterator[Problem]:
    # A data source's folder comes from --data-root, so its recipe leaves it out.
    found_later = {"root"} if part.kind == "data" else set()
    for name in [option.name for option in known.options if option.default is None]:
        if name not in given and name not in found_later:
            yield Problem(tree.origin(path), dotted(path), f"{part.kind} {part.name!r} needs the option {name!r}")


def found_part(kind: str, name: Any) -> Part | None:
    """A part whose options can be read; None where there is none of the name, as is said elsewhere."""
    try:
        part = registry().find(kind, name) if isinstance(name, str) else None
        return part if part is not None and schema_of(part) else None
    except VlzooError:
        return None
