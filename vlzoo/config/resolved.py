"""A recipe with every value written out, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vlzoo.config.check import Checked
from vlzoo.config.references import references
from vlzoo.config.schema import Recipe
from vlzoo.config.tree import Path_, dotted, leaves
from vlzoo.config.values import beyond, constant, misfit
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry

_ABSENT = object()
Resolved = tuple[str, Any, str]
"""Key path, value, origin."""


def rows(checked: Checked) -> list[Resolved]:
    """Every value of a recipe with its origin: `file:line`, `--set ...`, `default`, or the part's default."""
    written = checked.recipe.model_dump(mode="json")
    options = dict(_option_defaults(checked))
    found: dict[Path_, tuple[Any, str]] = {}
    for path, value in leaves(written):
        found[path] = (value, _origin(checked, path))
    for path, (value, origin) in options.items():
        found.setdefault(path, (value, origin))
    order = {key: index for index, key in enumerate(written)}
    in_order = sorted(
        found.items(), key=lambda item: (order.get(str(item[0][0]), 99) if item[0] else -1, _key(item[0]))
    )
    return [(dotted(path), value, origin) for path, (value, origin) in in_order]


def _key(path: Path_) -> tuple[str, ...]:
    # `part` first: it names what the options beside it belong to.
    return tuple("" if step == "part" else f"{step:>6}" if isinstance(step, int) else step for step in path)


def _origin(checked: Checked, path: Path_) -> str:
    held: Any = checked.tree.data
    for depth, step in enumerate(path):
        inside = held.get(step, _ABSENT) if isinstance(held, dict) else _item(held, step)
        if inside is _ABSENT:
            # `fusion: merged` was written for `fusion.part`; anything else that is absent was not written at all.
            return checked.tree.origin(path) if path[depth:] == ("part",) and isinstance(held, str) else "default"
        held = inside
    return checked.tree.origin(path)


def _item(held: Any, step: str | int) -> Any:
    return held[step] if isinstance(held, list) and isinstance(step, int) and step < len(held) else _ABSENT


GIVEN = {
    "text_encoder": ("vocab",),
    "fusion": ("image_width", "text_width"),
    "decoder": ("vocab", "memory_width"),
    "tokenizer": ("vocab", "texts", "size"),
    "data": ("root",),
}
"""Options that follow from a part's neighbours, its data or the command line where a recipe leaves them out."""


def whole(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain data with the options that were left at their defaults, as its parts' sources say.

    A default that is no plain value (the name of a list, say) is left out, and so are the options in `GIVEN`.

    >>> whole(recipe)["model"]["fusion"]["images"]
    1
    """
    data: dict[str, Any] = recipe.model_dump(mode="json")
    for kind, path, name, given in list(references(data)):
        if kind == "task":
            continue
        section: Any = data
        for step in path:
            section = section[step]
        for option in schema_of(registry().find(kind, name)).options if isinstance(section, dict) else ():
            if option.name in given or option.name in GIVEN.get(kind, ()) or option.default is None:
                continue
            known, value = constant(option.default)
            if known and not beyond(value) and misfit(value, option.type) is None:
                section[option.name] = value
    return data


def _option_defaults(checked: Checked) -> Iterator[tuple[Path_, tuple[Any, str]]]:
    for kind, path, name, given in references(checked.tree.data):
        part = registry().find(kind, name)
        for option in schema_of(part).options:
            if option.name not in given and option.default is not None and kind != "task":
                yield (*path, option.name), (_Written(option.default), f"default of {part.name} ({part.owner})")


class _Written(str):
    """A default as its source writes it: printed without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
