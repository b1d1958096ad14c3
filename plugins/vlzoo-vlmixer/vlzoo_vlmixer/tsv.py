"""Large files of tab-separated lines, each found by its first value. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from vlzoo.data.derived import picture_key
from vlzoo.errors import DataError


class Lines:
    """The lines of a file by their first values. Only where each begins is held in memory.

    >>> lines = Lines(folder / "labels.tsv")
    >>> lines.of(["9"])
    (['COCO_val2014_000000000009', '[]'], 'labels.tsv:1')

    Args:
        file: of UTF-8 lines. `NAME.lineidx` beside `NAME.tsv` says where each begins, and spares reading all of them.

    Raises:
        DataError: it is not there, or no text; found at first use.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        if not file.is_file():
            raise DataError("there is no such file", where=str(file))

    def of(self, names: Sequence[str]) -> tuple[list[str], str] | None:
        """The values of the line that goes by one of some names, and its place; None where there is none.

        A name is one of a picture's: with or without COCO's prefix, its leading zeros and the ending of a file.
        """
        exact, bare = self._starts
        start = next((exact[name] for name in names if name in exact), None)
        if start is None:
            start = next((bare[key] for name in names if (key := _bare(name)) in bare), None)
        if start is None:
            return None
        with self.file.open("rb") as opened:
            opened.seek(start[1])
            return self._values(opened.readline(), start[0])

    def __iter__(self) -> Iterator[tuple[list[str], str]]:
        with self.file.open("rb") as opened:
            for number, line in enumerate(opened):
                if line.strip():
                    yield self._values(line, number)

    def _values(self, line: bytes, number: int) -> tuple[list[str], str]:
        where = f"{self.file.name}:{number + 1}"
        try:
            values = line.decode("utf-8").rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            raise DataError(f"no UTF-8: {error}", where=where) from None
        if len(values) < 2:
            raise DataError("a line of one value, and values separated by tabs are expected", where=where)
        return values, where

    @cached_property
    def _starts(self) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
        """The number and the first byte of each line, by its first value as it stands and without what is added."""
        exact = {key: place for key, place in self._keys() if key}
        bare: dict[str, tuple[int, int]] = {}
        for key, place in exact.items():
            bare.setdefault(_bare(key), place)
        return exact, bare

    def _keys(self) -> Iterator[tuple[str, tuple[int, int]]]:
        index = self.file.with_suffix(".lineidx")
        with self.file.open("rb") as opened:
            if not index.is_file():
                start = 0
                for number, line in enumerate(opened):
                    yield _key(line), (number, start)
                    start += len(line)
                return
            for number, start in enumerate(_offsets(index)):
                opened.seek(start)
                yield _key(opened.read(256)), (number, start)


def _key(line: bytes) -> str:
    return line.partition(b"\t")[0].decode("utf-8", "replace").strip()


def _bare(name: str) -> str:
    return picture_key(name).lstrip("0")


def _offsets(index: Path) -> list[int]:
    try:
        return [int(line) for line in index.read_text(encoding="ascii").split()]
    except ValueError as error:
        fix = "delete it: the file is read without it, too"
        raise DataError(f"not a whole number a line: {error}", where=str(index), fix=fix) from None
