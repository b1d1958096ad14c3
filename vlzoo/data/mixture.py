"""Mixtures of sources with weights: the 4M, 16M and Full corpora of the papers, as YAML.

    name: 4m                        the mixture's name
    about: one sentence
    pairing: pair                   what every part holds, or is cut down to
    parts:
      coco:                         a name of your choice
        part: coco                  a registered data source
        root: coco                  its folder below the root; the name where absent
        weight: 1.0                 how often an epoch shows each of its records: 1 once, 0.5 half of them, 2 twice
        take: texts                 only the texts of a paired source, for unpaired training; `images`: only the
                                    pictures, with their boxes
        pictures: [0, 0.5]          only what speaks of some of the pictures, a half here; [0.5, 1] is the other half
        join: coco                  parts of one such name are one: captions and boxes of a picture are one sample
        split: train                and any other option of the source

An epoch of a mixture has a fixed length. Which records a weight below 1 takes changes from epoch to epoch, so that
every record of a source is shown once before any is shown again.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

from vlzoo.config.tree import Tree, parse
from vlzoo.data.build import build_source
from vlzoo.data.cards import Card
from vlzoo.data.derived import Half, Joined, OfPictures, two_shares
from vlzoo.data.fields import need, typed
from vlzoo.data.permute import Permutation
from vlzoo.data.reading import read_text
from vlzoo.data.records import Sample
from vlzoo.data_parts import Pairing
from vlzoo.errors import DataError, RecipeError, UnknownName, did_you_mean

TAKES = ("all", "texts", "images")
PART_KEYS = ("part", "root", "weight", "take", "join", "pictures")
KEYS = ("name", "about", "pairing", "parts")


class Mixture:
    """Several sources as one, each with a weight.

    Args:
        sources: data sources by name.
        weights: how often an epoch shows each record of a source; 1 where absent.
        name: the mixture's name.
        seed: of the order in which a source's records come.

    Raises:
        DataError: a weight is not a positive number, the sources hold different things, or nothing is left.
    """

    card: ClassVar[Card] = Card(
        "mixture",
        "several sources with weights",
        "those of its parts",
        layout=("one folder for each part of the YAML",),
        note="zoo_configs/data holds the corpora of the papers; vlzoo/data/mixture.py documents the keys",
    )

    def __init__(
        self,
        sources: Mapping[str, Any],
        weights: Mapping[str, float] | None = None,
        *,
        name: str = "mixture",
        seed: int = 0,
    ) -> None:
        if not sources:
            raise DataError("a mixture of nothing", where=name)
        self.sources, self.seed, self.name = dict(sources), seed, name
        self.weights = {part: _weight(part, (weights or {}).get(part, 1.0), name) for part in self.sources}
        kinds = {part: source.pairing for part, source in self.sources.items()}
        if len(set(kinds.values())) > 1:
            held = ", ".join(f"{part} {kind}" for part, kind in kinds.items())
            raise DataError(
                f"the parts hold different things: {held}", where=name, fix="`take` halves pairs; or split it"
            )
        self.pairing: Pairing = next(iter(kinds.values()))
        self.licence = "; ".join(dict.fromkeys(source.licence for source in self.sources.values()))
        self._ends: list[int] | None = None

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Sample:
        return self.at(0, index)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ends": None}

    @property
    def counts(self) -> dict[str, int]:
        """How many records of each source an epoch shows: its weight times its size, at least one."""
        return {part: max(1, round(self.weights[part] * len(source))) for part, source in self.sources.items()}

    @property
    def ends(self) -> list[int]:
        """Where each source's block of indices ends."""
        if self._ends is None:
            for part, source in self.sources.items():
                if not len(source):
                    raise DataError(f"{part} ({source.name}) is empty", where=self.name, fix="leave it out")
            found: list[int] = []
            for count in self.counts.values():
                found.append(count + (found[-1] if found else 0))
            self._ends = found
        return self._ends

    def place(self, epoch: int, index: int) -> tuple[str, int]:
        """The source and its record that `index` of an epoch stands for.

        Args:
            epoch: from 0.
            index: from 0; `IndexError` beyond the end. Blocks of sources follow each other: the loader shuffles.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        block = bisect_right(self.ends, index)
        part, size = list(self.sources)[block], self.ends[block] - (self.ends[block - 1] if block else 0)
        drawn = epoch * size + index - (self.ends[block] - size)
        records = len(self.sources[part])
        turn, within = divmod(drawn, records)
        return part, Permutation(records, f"{self.seed}/{part}/{turn}")[within]

    def at(self, epoch: int, index: int) -> Sample:
        """The sample `index` of an epoch, its name preceded by the source's."""
        part, record = self.place(epoch, index)
        sample: Sample = self.sources[part][record]
        image_id = None if sample.image_id is None else f"{part}/{sample.image_id}"
        return replace(sample, name=f"{part}/{sample.name}", image_id=image_id)

    def fingerprint(self) -> str:
        """A hash of the parts' fingerprints, the weights and the seed."""
        facts = [(part, source.fingerprint(), self.weights[part]) for part, source in self.sources.items()]
        return hashlib.sha256(repr((facts, self.seed)).encode()).hexdigest()[:16]

    def describe(self) -> str:
        """One line a part: its size and what an epoch takes of it."""
        rows = [f"{p}: {len(s):,} records, {self.counts[p]:,} an epoch" for p, s in self.sources.items()]
        return "\n".join([f"{self.name}: {len(self):,} records an epoch", *(f"  {row}" for row in rows)])


def _weight(part: str, value: Any, where: str) -> float:
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
    weight, join = _weight(name, entry.get("weight", 1.0), place), typed(entry.get("join", ""), str, place)
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


def open_mixture(root: str = ".", *, file: str, seed: int = 0, strict: bool = False) -> Mixture:
    """Several data sources as one, each with a weight; `zoo_configs/data` holds the corpora of the papers.

    Args:
        root: the folder that holds a folder for each part.
        file: a mixture's YAML, or the name of one that comes with vlzoo: 4m, 16m, 4m-regions, 16m-regions, 4m-objects,
            4m-phrases; {coco,cc3m,full,scenes-half}-texts and -images; scenes-half-objects, scenes-half-pairs.
        seed: of the order in which records come.
        strict: raise where a split's size is not the official one.

    Raises:
        DataError: the file is malformed, a part is incomplete, or the parts hold different things.
        UnknownName: no such mixture, source or option.
    """
    from vlzoo.door.options import schema_of
    from vlzoo.door.plugins import registry

    found = mixture_file(file)
    name, parts = read_mixture(found)
    sources: dict[str, Any] = {}
    for part in parts:
        options = dict(part.options)
        if "strict" in schema_of(registry().find("data", part.part, where=part.where)).names:
            options.setdefault("strict", strict)
        source = build_source(part.part, {"root": str(Path(root, part.root)), **options}, where=part.where)
        kept = source if part.pictures is None else OfPictures(source, *part.pictures)
        sources[part.name] = kept if part.take == "all" else Half(kept, part.take)
    weights = {part.name: part.weight for part in parts}
    return Mixture(*_joined(parts, sources, weights, str(found)), name=name, seed=seed)


def _joined(
    parts: Sequence[PartOf], sources: dict[str, Any], weights: dict[str, float], where: str
) -> tuple[dict[str, Any], dict[str, float]]:
    """Sources and weights by name, those that are to be joined in one place under the name of their joining.

    Raises:
        DataError: parts that are joined have different weights, or their joining has the name of a part.
    """
    for name in dict.fromkeys(part.join for part in parts if part.join):
        own = [part.name for part in parts if part.join == name]
        shares = {weights.pop(part) for part in own}
        if len(shares) > 1:
            raise DataError(f"parts joined as {name!r} have the weights {sorted(shares)}", where=where, fix="give one")
        joined = Joined(name, [sources.pop(part) for part in own])
        if name in sources:
            raise DataError(f"{name!r} is the name of a part, too", where=where, fix="choose another for `join`")
        sources[name], weights[name] = joined, shares.pop()
    return sources, weights


# `vlzoo data list` reads the card of what is registered.
open_mixture.card = Mixture.card  # type: ignore[attr-defined]
