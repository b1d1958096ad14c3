"""Sources made of other sources: one half of them, or several joined picture by picture."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from vlzoo.data.blocks import Blocks, blocks_of
from vlzoo.data.records import Sample
from vlzoo.data_parts import Pairing
from vlzoo.errors import DataError
from vlzoo.hashing import number_of

_NUMBERED = re.compile(r"COCO_(?:train|val|test)\d+_(\d+)")


class Half:
    """The texts or the pictures of a paired source, without the other half.

    Args:
        source: a source of pairs.
        take: `texts` or `images`.
    """

    def __init__(self, source: Any, take: str) -> None:
        self.source, self.take = source, take
        self.pairing: Pairing = "text" if take == "texts" else "image"
        self.name, self.licence = f"{source.name}/{take}", source.licence

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        if self.take == "texts":
            return replace(sample, images=(), image_id=None, regions=())
        bare = (replace(region, text="", attributes=(), others=()) for region in sample.regions)
        return replace(sample, texts=(), regions=tuple(bare), answers=(), label=None)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def blocks(self, epoch: int = 0) -> Blocks | None:
        """The source's: of texts none, as they lie in its index."""
        return blocks_of(self.source, epoch) if self.take == "images" else None

    def fingerprint(self) -> str:
        """The source's, with what is taken of it."""
        return hashlib.sha256(f"{self.source.fingerprint()} {self.take}".encode()).hexdigest()[:16]


class OfPictures:
    """What a source tells of some of its pictures: those whose number lies between two shares.

    A picture's number depends on its id alone, so that [0, 0.5] and [0.5, 1] never meet, whatever the source's split,
    order or captions are.

    Args:
        source: a source of pictures, or of texts that say which picture they are of.
        low: the first share.
        high: the one that is no longer taken.
    """

    def __init__(self, source: Any, low: float, high: float) -> None:
        self.source, self.low, self.high = source, low, high
        self.pairing: Pairing = source.pairing
        self.name, self.licence = f"{source.name}/{low:g}-{high:g}", source.licence
        self._rows: list[int] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        sample: Sample = self.source[self.rows[index]]
        return sample

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rows": None}

    @property
    def rows(self) -> list[int]:
        """The rows of the source that are taken."""
        if self._rows is None:
            self._rows = [row for row, sample in enumerate(self.source) if self._takes(sample)]
        return self._rows

    def _takes(self, sample: Sample) -> bool:
        return self.low <= number_of(sample.image_id or sample.name) / 2**63 < self.high

    def blocks(self, epoch: int = 0) -> Blocks | None:
        """What is taken of each of the source's."""
        whole = blocks_of(self.source, epoch)
        if whole is None:
            return None
        ends = np.unique(np.searchsorted(self.rows, whole.ends))
        return replace(whole, ends=ends[ends > 0])

    def fingerprint(self) -> str:
        """The source's, with which pictures are taken."""
        return hashlib.sha256(f"{self.source.fingerprint()} {self.low} {self.high}".encode()).hexdigest()[:16]


def two_shares(value: Any, where: str) -> tuple[float, float]:
    """`[0, 0.5]` as two shares.

    Raises:
        DataError: they are not two numbers from 0 to 1, the first one smaller.
    """
    numbers = isinstance(value, list) and all(isinstance(x, int | float) and not isinstance(x, bool) for x in value)
    if not numbers or len(value) != 2 or not 0 <= value[0] < value[1] <= 1:
        raise DataError(f"pictures can't be {value!r}", where=where, fix="give two shares: pictures: [0, 0.5]")
    return float(value[0]), float(value[1])


class Joined:
    """Sources that tell different things of the same pictures, as one: a sample a picture, with all that is told of it.

    X-VLM's lists name captions, objects and regions of COCO and of Visual Genome as separate files. Pictures are the
    same where their files have the same name, endings and the prefixes of COCO 2014 apart.

    >>> both = Joined("both", [source, source])
    >>> len(both), both.pairing
    (0, 'text')

    Args:
        name: of the joining.
        sources: with one picture a sample. Samples without one are left out.

    Raises:
        DataError: a sample shows several pictures; found when it is first read.
    """

    def __init__(self, name: str, sources: Sequence[Any]) -> None:
        self.name, self.sources = name, list(sources)
        pairings: list[Pairing] = [source.pairing for source in sources]
        self.pairing: Pairing = "region" if "region" in pairings else pairings[0]
        self.licence = "; ".join(dict.fromkeys(source.licence for source in sources))
        self._places: list[list[tuple[int, int]]] | None = None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        return merged([self.sources[source][row] for source, row in self.places[index]])

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_places": None}

    @property
    def places(self) -> list[list[tuple[int, int]]]:
        """Of each picture, in the order in which they are first met, the sources and rows that speak of it."""
        if self._places is None:
            found: dict[str, list[tuple[int, int]]] = {}
            for number, source in enumerate(self.sources):
                for row, sample in enumerate(source):
                    if len(sample.images) > 1:
                        what = f"{len(sample.images)} pictures in a sample, and it is joined by its picture"
                        raise DataError(what, where=f"{source.name} {sample.name}")
                    if sample.images:
                        found.setdefault(picture_key(sample.images[0].name), []).append((number, row))
            self._places = list(found.values())
        return self._places

    def fingerprint(self) -> str:
        """A hash of the sources' fingerprints."""
        facts = ["joined", *(source.fingerprint() for source in self.sources)]
        return hashlib.sha256(" ".join(facts).encode()).hexdigest()[:16]


def picture_key(name: str) -> str:
    """What a picture is known by in several sources.

    >>> picture_key("coco/train2014/COCO_train2014_000000000009.jpg"), picture_key("x/000000000009.png")
    ('000000000009', '000000000009')
    """
    stem = PurePosixPath(name.replace("\\", "/")).stem
    numbered = _NUMBERED.fullmatch(stem)
    return numbered[1] if numbered else stem


def merged(samples: Sequence[Sample]) -> Sample:
    """One sample of several that show one picture: the first one's picture, and the texts and regions of all."""
    first = samples[0]
    fields: Mapping[str, Any] = {key: value for sample in reversed(samples) for key, value in sample.fields.items()}
    key = picture_key(first.images[0].name)
    texts = _once(text for sample in samples for text in sample.texts)
    regions = _once(region for sample in samples for region in sample.regions)
    return Sample(key, first.images, texts, key, regions, fields=fields)


def _once(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
