"""Reading every picture of a source once, to find those that can't be read. No torch here."""

from __future__ import annotations

from collections.abc import Iterable

from vlzoo.data.faults import Faults
from vlzoo.data.records import Sample
from vlzoo.errors import DataError


def check_images(source: Iterable[Sample], faults: Faults) -> int:
    """Decode every picture once and note in `faults` those that can't be read; the number of pictures."""
    seen: set[str] = set()
    for sample in source:
        for image in sample.images:
            if image.name in seen:
                continue
            seen.add(image.name)
            try:
                image.open()
            except DataError as error:
                faults.skip("unreadable picture", image.name, error.what)
    return len(seen)
