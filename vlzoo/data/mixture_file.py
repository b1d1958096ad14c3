"""The file of a mixture, read: its parts, each with the place that wrote it. `vlzoo.data.mixture` tells its keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from vlzoo.config.tree import Tree, parse
from vlzoo.data.derived import two_shares
from vlzoo.data.fields import need, typed
from vlzoo.data.places import is_url
from vlzoo.data.reading import read_text
from vlzoo.data_parts import Pairing
from vlzoo.errors import DataError, RecipeError, UnknownName, did_you_mean

TAKES = ("all", "texts", "images")
PART_KEYS = ("part", "root", "weight", "take", "join", "pictures")
KEYS = ("name", "about", "pairing", "parts")


def checked_weight(part: str, value: Any, where: str) -> float:
    """A weight of a part.

    Raises:
        DataError: it is no number above 0.
    """
    weight = typed(value, float, where, f"the weight of {part}")
    if not (weight > 0 and math.isfinite(weight)):
        raise DataError(f"the weight of {part} is {value}, expected more than 0", where=where, fix="or leave it out")
    return weight


@dataclass(frozen=True)
class PartOf:
    """One part of a mixture's file.

    Attributes:
        name: its name in the mixture.
        part: the registered data source.
        root: its folder below the mixture's root.
        weight: how often an epoch shows each record.
        take: `all`, `texts` or `images`.
        join: the name under which it is joined with others, picture by picture; empty: it stands alone.
        options: of the source.
        where: the file, the line and the key, for messages.
        pictures: between which shares the pictures lie whose records are taken; None: all.
    """

    name: str
    part: str
    root: str
    weight: float
    take: str
    join: str
    options: Mapping[str, Any]
    where: str = ""
    pictures: tuple[float, float] | None = None

    def below(self, root: str) -> str:
        """Its folder, given the mixture's; a URL is a place of its own."""
        return self.root if is_url(self.root) else str(Path(root, self.root))


def read_mixture(path: str | Path) -> tuple[str, list[PartOf]]:
    """Name and parts of a mixture's file.

    Raises:
        DataError: not YAML, an unknown or missing key, or a value of another kind.
    """
    where = str(path)
    tree = _tree(path)
    for key in tree.data:
        if key not in KEYS:
            place = tree.origin((key,))
            raise DataError(f"unknown key {key!r}", where=place, fix=did_you_mean(key, KEYS, what="keys"))
    pairing = need(tree.data, "pairing", str, where)
    if pairing not in get_args(Pairing):
        place = tree.origin(("pairing",))
        raise DataError(f"no pairing {pairing!r}", where=place, fix=did_you_mean(pairing, get_args(Pairing)))
    parts = need(tree.data, "parts", dict, where)
    named = [_part(name, entry, f"{tree.origin(('parts', name))}: parts.{name}") for name, entry in parts.items()]
    return need(tree.data, "name", str, where), named


def _tree(path: str | Path) -> Tree:
    """The YAML of a mixture, read as that of recipes is: `5e-1` is a number."""
    try:
        return parse(read_text(path), str(path), kind="mixture")
    except RecipeError as error:
        first, *others = error.problems
        what = f"{first.path}: {first.what}" if first.path else first.what
        more = f" (and {len(others)} more)" if others else ""
        raise DataError(what + more, where=first.where, fix=first.fix) from error


def _part(name: str, value: Any, place: str) -> PartOf:
    entry = typed(value, dict, place)
    take = typed(entry.get("take", "all"), str, place)
    if take not in TAKES:
        raise DataError(f"can't take {take!r}", where=place, fix=did_you_mean(take, TAKES, what="choices"))
    options = {key: option for key, option in entry.items() if key not in PART_KEYS}
    weight, join = checked_weight(name, entry.get("weight", 1.0), place), typed(entry.get("join", ""), str, place)
    root = typed(entry.get("root", name), str, place, "the root")
    pictures = two_shares(entry["pictures"], place) if "pictures" in entry else None
    return PartOf(name, need(entry, "part", str, place), root, weight, take, join, options, place, pictures)


def mixture_file(name: str) -> Path:
    """The file of a mixture: a path, or the name of one that comes with vlzoo.

    Raises:
        UnknownName: neither.
    """
    from vlzoo.resources import zoo_configs

    if name.endswith((".yaml", ".yml")):
        return Path(name)
    shipped = {path.stem: path for path in sorted((zoo_configs() / "data").glob("*.yaml"))}
    if name not in shipped:
        raise UnknownName(f"no mixture called {name!r}", fix=did_you_mean(name, shipped, what="mixtures"))
    return shipped[name]
