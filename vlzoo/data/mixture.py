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

A part whose records are read in blocks (`stream`) shows whole blocks, in random order, and the epoch's order shuffles
those of all parts near by. A URL as a part's root stays one: `root: s3://bucket/shards`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from vlzoo.data.blocks import Blocks, blocks_of
from vlzoo.data.build import build_source
from vlzoo.data.cards import Card
from vlzoo.data.derived import Half, Joined, OfPictures
from vlzoo.data.mixture_file import PartOf, checked_weight, mixture_file, read_mixture
from vlzoo.data.records import Sample
from vlzoo.data.turns import Turns
from vlzoo.data_parts import Pairing
from vlzoo.errors import DataError


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
        self.weights = {part: checked_weight(part, (weights or {}).get(part, 1.0), name) for part in self.sources}
        kinds = {part: source.pairing for part, source in self.sources.items()}
        if len(set(kinds.values())) > 1:
            held = ", ".join(f"{part} {kind}" for part, kind in kinds.items())
            raise DataError(
                f"the parts hold different things: {held}", where=name, fix="`take` halves pairs; or split it"
            )
        self.pairing: Pairing = next(iter(kinds.values()))
        self.licence = "; ".join(dict.fromkeys(source.licence for source in self.sources.values()))
        self._ends: list[int] | None = None
        self._turns: dict[str, Turns] = {}

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Sample:
        return self.at(0, index)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ends": None, "_turns": {}}

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
        return part, self._turns_of(part).record(epoch * size + index - (self.ends[block] - size))

    def at(self, epoch: int, index: int) -> Sample:
        """The sample `index` of an epoch, its name preceded by the source's."""
        part, record = self.place(epoch, index)
        sample: Sample = self.sources[part][record]
        image_id = None if sample.image_id is None else f"{part}/{sample.image_id}"
        return replace(sample, name=f"{part}/{sample.name}", image_id=image_id)

    def blocks(self, epoch: int = 0) -> Blocks | None:
        """The blocks of an epoch's indices; None where no part is read in blocks."""
        parts = [each for part in self.sources if (each := self._turns_of(part).blocks) is not None]
        if not parts:
            return None
        found, begin = [], 0
        for part, count in self.counts.items():
            found += [begin + end for end in self._turns_of(part).ends(epoch * count, (epoch + 1) * count)]
            begin += count
        # What is shuffled with each other is what one of the parts would shuffle by itself, at the least.
        return replace(parts[0], ends=np.asarray(found), buffer=max(each.buffer for each in parts))

    def _turns_of(self, part: str) -> Turns:
        if part not in self._turns:
            source = self.sources[part]
            self._turns[part] = Turns(len(source), f"{self.seed}/{part}", blocks_of(source))
        return self._turns[part]

    def fingerprint(self) -> str:
        """A hash of the parts' fingerprints, the weights and the seed."""
        facts = [(part, source.fingerprint(), self.weights[part]) for part, source in self.sources.items()]
        return hashlib.sha256(repr((facts, self.seed)).encode()).hexdigest()[:16]

    def describe(self) -> str:
        """One line a part: its size and what an epoch takes of it."""
        rows = [f"{p}: {len(s):,} records, {self.counts[p]:,} an epoch" for p, s in self.sources.items()]
        return "\n".join([f"{self.name}: {len(self):,} records an epoch", *(f"  {row}" for row in rows)])


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
        source = build_source(part.part, {"root": part.below(root), **options}, where=part.where)
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
