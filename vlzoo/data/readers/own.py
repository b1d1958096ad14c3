"""vlzoo's own line format: a `Sample` as json, for data that come in no other.

`SPLIT.jsonl`, one object a line; every key but `id` may be left out:

    {"id": "a1",                                unique text or number
     "image": "x.jpg" | "images": ["l.jpg", "r.jpg"],    paths below the root
     "image_id": "x",                           samples with the same one share their captions; else the path
     "captions": ["a dog", "two dogs"],         also a single text
     "regions": [{"box": [x, y, w, h], "text": "dog", "others": [], "kind": "object", "crowd": false,
                  "attributes": ["brown"]}],    pixels of the stored picture
     "answers": ["yes", "yes", "no"], "label": "entailment", "group": "g1", "fields": {"question_type": "is"}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.cards import Card
from vlzoo.data.cleaning import clean_box, clean_count, clean_texts
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.fields import identifier, need, typed
from vlzoo.data.images import FileImage
from vlzoo.data.reading import first_existing
from vlzoo.data.records import Region, Sample
from vlzoo.data.sources import Source
from vlzoo.data.tables import read_jsonl
from vlzoo.errors import DataError, did_you_mean

KEYS = ("id", "image", "images", "image_id", "captions", "regions", "answers", "label", "group", "fields")
REGION_KEYS = ("box", "text", "others", "kind", "crowd", "attributes")


class JsonLines(Source):
    """vlzoo's own line format (documented in `vlzoo/data/readers/own.py`).

    Args:
        root: the folder with `train.jsonl` and so on, which paths in the lines are below.
        file: the lines, below the root; None: `SPLIT.jsonl`, or `SPLIT.jsonl.gz`.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    card = Card(
        "jsonl",
        "vlzoo's own line format",
        "that of the data",
        layout=(
            "train.jsonl, val.jsonl, test.jsonl    one object a line with the keys",
            f"    {', '.join(KEYS)}",
            f"    of a region: {', '.join(REGION_KEYS)}",
            "the pictures it names",
        ),
    )

    def __init__(self, root: str | Path, *, file: str | Path | None = None, **options: Any) -> None:
        super().__init__(root, **options)
        self.file = None if file is None else str(file)

    @property
    def name(self) -> str:
        """`jsonl/test`; the name of a file that was given stands for the split, which did not choose it."""
        return super().name if self.file is None else f"{self.card.name}/{Path(self.file).name.split('.')[0]}"

    def files(self) -> Sequence[Expected]:
        """The lines."""
        return [Expected(self._path(), "one sample a line")]

    def _path(self) -> str:
        return self.file or first_existing(self.root, (f"{self.split}.jsonl", f"{self.split}.jsonl.gz"))

    def records(self, faults: Faults) -> Iterator[Sample]:
        """The samples.

        Raises:
            DataError: an unknown or missing key, a value of another kind, or an id that is there twice.
        """
        seen: set[str] = set()
        for where, entry in read_jsonl(Path(self.root, self._path())):
            _known(entry, KEYS, where)
            name = identifier(entry, "id", where)
            if name in seen:
                raise DataError(f"the id {name!r} is there twice", where=where, fix="ids must be unique; drop one")
            seen.add(name)
            yield self._sample(name, entry, where, faults)

    def sample(self, row: Sample) -> Sample:
        """The sample itself."""
        return row

    def _sample(self, name: str, entry: Mapping[str, Any], where: str, faults: Faults) -> Sample:
        paths = [need(entry, "image", str, where)] if "image" in entry else _texts(entry, "images", where)
        texts = clean_texts(_texts(entry, "captions", where), where, faults)
        regions = _regions(entry, where, faults)
        for unit, number in (("images", len(paths)), ("captions", len(texts)), ("boxes", len(regions))):
            faults.count(unit, number)
        image_id = identifier(entry, "image_id", where) if "image_id" in entry else " ".join(paths) or None
        return Sample(
            name,
            tuple(FileImage(self.root, path) for path in paths),
            texts,
            image_id,
            regions,
            tuple(_texts(entry, "answers", where)),
            need(entry, "label", str, where) if "label" in entry else None,
            identifier(entry, "group", where) if "group" in entry else None,
            need(entry, "fields", dict, where) if "fields" in entry else {},
        )


def _known(entry: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    for key in entry:
        if key not in keys:
            raise DataError(f"unknown key {key!r}", where=where, fix=did_you_mean(key, keys, what="keys"))


def _texts(entry: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = entry.get(key, [])
    values = value if isinstance(value, list) else [value]
    return [typed(text, str, where, f"the value of {key!r}") for text in values]


def _regions(entry: Mapping[str, Any], where: str, faults: Faults) -> tuple[Region, ...]:
    found = []
    for number, value in enumerate(need(entry, "regions", list, where) if "regions" in entry else []):
        place = f"{where} regions[{number}]"
        region = typed(value, dict, place)
        _known(region, REGION_KEYS, place)
        box = clean_box(need(region, "box", list, place), place, faults)
        texts = clean_texts([need(region, "text", str, place), *_texts(region, "others", place)], place, faults)
        if box is not None and texts:
            crowd = typed(region.get("crowd", False), bool, place)
            kind = typed(region.get("kind", "object"), str, place)
            found.append(Region(box, texts[0], kind, crowd, tuple(_texts(region, "attributes", place)), texts[1:]))
    return tuple(clean_count(found, where, faults))


def annotated(file: Path) -> Iterator[Sample]:
    """The samples of a file in this format, without pictures: for judging predictions.

    Raises:
        DataError: an unknown or missing key, a value of another kind, or an id that is there twice.
    """
    source = JsonLines(file.parent, file=file.name)
    return (replace(sample, images=()) for sample in source)
