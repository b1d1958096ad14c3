"""The pictures of a data source, each once, as a detector is given them. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vlzoo.data.derived import picture_key
from vlzoo.data.records import Sample, Shown
from vlzoo.errors import DataError
from vlzoo.hashing import number_of


def source_name(source: Any) -> str:
    """The data's name without the split: `coco` of `coco/train`."""
    return str(source.name).partition("/")[0]


def parts_of(source: Any) -> list[Any]:
    """The sources of a mixture, which gives their pictures other ids; of another source itself."""
    return list(source.sources.values()) if isinstance(getattr(source, "sources", None), dict) else [source]


def shown_in(source: Any, sample: Sample) -> Iterator[Shown]:
    """A sample's pictures. One that stands alone has the sample's id, one of several that of its file."""
    alone = len(sample.images) == 1
    for image in sample.images:
        image_id = (sample.image_id or sample.name) if alone else picture_key(image.name)
        yield Shown(source_name(source), image_id, image, sample.regions if alone else ())


class Pictures:
    """A source's pictures by number, in the order in which they are first met; a mixture's part by part.

    Boxes of all samples that show a picture come with it.

    >>> pictures = Pictures(source)
    >>> len(pictures), pictures[0].image_id
    (2, '1')

    Raises:
        DataError: there is none.
    """

    def __init__(self, source: Any) -> None:
        self.parts = parts_of(source)
        self._rows: list[list[tuple[int, int, int]]] = []
        number: dict[int, int] = {}
        for part, each in enumerate(self.parts):
            for row, sample in enumerate(each):
                for place, shown in enumerate(shown_in(each, sample)):
                    key = number_of(f"{shown.source}\0{shown.image_id}")
                    if key not in number:
                        number[key] = len(self._rows)
                        self._rows.append([])
                    self._rows[number[key]].append((part, row, place))
        if not self._rows:
            fix = "name data with pictures: `vlzoo data list` tells what each holds"
            raise DataError("there is no picture to detect anything in", where=str(source.name), fix=fix)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Shown:
        met = [self._shown(*place) for place in self._rows[number]]
        regions = tuple(dict.fromkeys(region for shown in met for region in shown.regions))
        return Shown(met[0].source, met[0].image_id, met[0].image, regions)

    def _shown(self, part: int, row: int, place: int) -> Shown:
        source = self.parts[part]
        return list(shown_in(source, source[row]))[place]
