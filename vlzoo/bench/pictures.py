"""A picture is one picture, on however many lines of a file it stands: data as their pictures, each with all its texts.

Legend: I pictures.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from vlzoo.data.records import Sample
from vlzoo.data_parts import Pairing


class Pictures:
    """A source with a sample for each picture: the first that shows it, with the texts of all that do.

    Args:
        source: the data.
        rows: for each picture the rows of the source that show it, [I].
    """

    def __init__(self, source: Any, rows: Sequence[Sequence[int]]) -> None:
        self.source, self.rows = source, rows
        self.name: str = source.name
        self.pairing: Pairing = getattr(source, "pairing", "pair")
        self.licence: str = getattr(source, "licence", "")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        first, *others = (self.source[row] for row in self.rows[index])
        return replace(first, texts=(*first.texts, *(text for each in others for text in each.texts)))

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def fingerprint(self) -> str:
        """The source's: it is the same data."""
        return str(self.source.fingerprint())


def pictures(source: Any, *, by_id: bool = True) -> Any:
    """A source with a sample for each picture; the source itself where it is so already.

    Args:
        source: the data.
        by_id: samples of one `image_id` show one picture; else only those that name the same file.
    """
    rows = rows_of_pictures((source[row] for row in range(len(source))), by_id=by_id)
    return source if len(rows) == len(source) else Pictures(source, rows)


def rows_of_pictures(samples: Iterable[Sample], *, by_id: bool = True) -> list[list[int]]:
    """For each picture the numbers of the samples that show it, in the order in which pictures first come, [I].

    Samples show the same picture where they have the same `image_id` or name the same file.
    """
    known: dict[Hashable, int] = {}
    found: list[list[int]] = []
    for row, sample in enumerate(samples):
        keys = list(_keys(sample, by_id))
        at = next((known[key] for key in keys if key in known), len(found))
        if at == len(found):
            found.append([])
        found[at].append(row)
        for key in keys:
            known.setdefault(key, at)
    return found


def _keys(sample: Sample, by_id: bool) -> Iterator[Hashable]:
    if by_id and sample.image_id is not None:
        yield sample.image_id
    names = [getattr(image, "name", None) for image in sample.images]
    if names and all(names):
        yield tuple(os.path.normpath(str(name)) for name in names)
