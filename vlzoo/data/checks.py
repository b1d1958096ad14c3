"""Looking at every picture of a source, to find those that are not there or can't be read. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from vlzoo.data.faults import Faults
from vlzoo.data.images import require_picture
from vlzoo.data.records import ImageRef, Sample
from vlzoo.errors import DataError
from vlzoo.progress import Progress


def check_images(source: Sequence[Sample], faults: Faults) -> int:
    """Decode every picture once and note in `faults` those that can't be read; the number of pictures."""
    total = 0
    with closing(Progress("reading pictures", len(source), unit="samples", brief=True)) as progress:
        for index, image in _pictures(source, faults):
            total += 1
            if image is not None:
                _try_image(image, lambda it: it.open(), faults)
            progress.update(index)
    return total


def absent_images(source: Sequence[Sample], faults: Faults) -> int:
    """Look for every picture's file or member of a zip archive once; note those that are not there. Their number."""
    before = sum(faults.skipped.values())
    for _, image in _pictures(source, faults):
        if image is not None:
            _try_image(image, require_picture, faults)
    return sum(faults.skipped.values()) - before


def _try_image(image: ImageRef, test: Callable[[ImageRef], object], faults: Faults) -> None:
    try:
        test(image)
    except DataError as error:
        faults.skip("unreadable picture", image.name, error.what)


def _pictures(source: Sequence[Sample], faults: Faults) -> Iterator[tuple[int, ImageRef | None]]:
    """Every picture once, with its row; a sample that can't be made, as its picture gives no size, is noted: None."""
    seen: set[str] = set()
    for index in range(len(source)):
        try:
            images = source[index].images
        except DataError as error:
            faults.skip("unreadable picture", error.where or f"sample {index}", error.what)
            yield index, None
            continue
        for image in images:
            if image.name not in seen:
                seen.add(image.name)
                yield index, image
