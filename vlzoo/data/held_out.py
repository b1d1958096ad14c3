"""Whether data were trained on: a run remembers some of its records, and what is measured is held against them.

A record is a picture with one of its texts. Records are hashed, and the smallest hashes are kept: a sample of the
distinct records that does not depend on their order (the bottom-k sketch of Broder, On the resemblance and containment
of documents, 1997). Of other data only hashes below the largest one kept can be told; of so many the share is given.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vlzoo.data.records import Sample

KEPT = 512
"""Hashes that are kept of a source; data of no more records are told exactly."""
DIGITS = 12
"""Hex digits of a hash: 100,000 records meet one of 512 others by chance once in five million."""


@dataclass(frozen=True)
class Overlap:
    """How much of some data was trained on.

    Attributes:
        name: of the training data: `jsonl/train`.
        split: of the training data; empty where it has none.
        seen: how many of the records that were compared are among the training data.
        compared: how many could be compared.
    """

    name: str
    split: str
    seen: int
    compared: int

    @property
    def trained(self) -> bool:
        """Whether most of the data was trained on."""
        return 2 * self.seen > self.compared

    def __str__(self) -> str:
        return f"{self.seen:,} of {self.compared:,} records compared are among the run's training data, {self.name}"


def told(source: Any) -> dict[str, str]:
    """What a run notes of its training data, to know them again: `name`, `split` and some `records`."""
    return {"name": source.name, "split": split_of(source), "records": " ".join(sketch(source))}


def trained_on(noted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `told` said of all data that a run's weights have seen, those of the runs it started from included.

    Args:
        noted: what is known of the run beside its recipe (`Run.noted`).
    """
    return [*(noted.get("data") or ()), *(noted.get("started_on") or ())]


def split_of(source: Any) -> str:
    """The split of a source; empty where it has none."""
    return str(getattr(source, "split", ""))


def sketch(source: Any) -> list[str]:
    """The smallest hashes of a source's records, in order; of a mixture, of all that its sources hold."""
    kept: set[str] = set()
    for part in [*getattr(source, "sources", {}).values()] or [source]:
        for sample in part:
            kept.update((*_spoken(sample), *_shown(sample)))
            if len(kept) > 64 * KEPT:
                kept = set(heapq.nsmallest(KEPT, kept))
    return heapq.nsmallest(KEPT, kept)


def overlap(source: Any, trained: Sequence[Mapping[str, Any]]) -> Overlap | None:
    """How much of a source is among what a run was trained on; None where nothing is, or nothing can be compared.

    Args:
        source: the data.
        trained: what `told` said of the training data; the one that shares most is given.
    """
    known = [(each, frozenset(each["records"].split())) for each in trained if each.get("records")]
    if not known:
        return None
    records = [record for sample in source for record in (_spoken(sample) or _shown(sample))]
    found = [_shared(each, hashes, records) for each, hashes in known]
    most = max(found, key=lambda each: each.seen / max(each.compared, 1))
    return most if most.seen else None


def _shared(each: Mapping[str, Any], hashes: frozenset[str], records: Sequence[str]) -> Overlap:
    largest = max(hashes) if len(hashes) == KEPT else "g"
    compared = [record for record in records if record <= largest]
    seen = sum(record in hashes for record in compared)
    return Overlap(str(each.get("name", "")), str(each.get("split", "")), seen, len(compared))


def _spoken(sample: Sample) -> list[str]:
    """Hashes of a sample's pictures with each text, and with each box that has one."""
    said: Iterable[object] = (*sample.texts, *((region.box, region.text) for region in sample.regions))
    return [_hash(place, each) for place in _places(sample) for each in said]


def _shown(sample: Sample) -> list[str]:
    """The hash of a sample's pictures alone."""
    return [_hash(place, "") for place in _places(sample)]


def _places(sample: Sample) -> Iterator[str]:
    """Where a sample's pictures lie, together; nothing where it has none."""
    names = [str(getattr(image, "name", image)) for image in sample.images]
    if names:
        yield "\n".join(f"{_real(folder)}/{file}" for folder, _, file in (name.rpartition("/") for name in names))


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _hash(place: str, said: object) -> str:
    text = f"{place}\n{said}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:DIGITS]
