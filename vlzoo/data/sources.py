"""`Source`: the base class of the data readers. Importing it, or a reader, does not import torch.

A reader says which files it expects (`files`), yields plain rows from them (`records`) and turns a row into a `Sample`
(`sample`). The rest is shared: reading at first use, counting faults, comparing sizes with the official ones,
fingerprints, checks, and pickles that hold the options alone.
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data import store
from vlzoo.data.cards import Card, sizes_text
from vlzoo.data.expected import Expected, placeless
from vlzoo.data.faults import Faults, share
from vlzoo.data.reading import kind_of, read_skip_list, require_folder
from vlzoo.data.records import Sample
from vlzoo.data_parts import Pairing
from vlzoo.errors import DataError, UnknownName, did_you_mean

logger = logging.getLogger("vlzoo.data")


class SizeWarning(UserWarning):
    """A split whose size is not the official one."""


class Source:
    """The base class of the data readers: map-style, reads its annotations at first use.

    Attributes:
        card: the data's card.
        pairing: what one sample holds.
        splits: the splits there are.
        columns: Arrow columns of a row (`vlzoo.data.store.arrow_schema`); None: rows stay Python objects.
        on_disk: whether the Arrow table is memory-mapped from the cache folder.
        aside: options that change nothing in what the source holds.

    Args:
        root: the folder that holds the data.
        split: which part of it.
        strict: raise where a split's size is not the official one, instead of warning.
        allowed_faults: the share of records that may be unusable before reading stops, from 0 to 1.
        skip: a list of pictures to leave out, as `vlzoo data check --images --faults FILE` writes it.

    Raises:
        UnknownName: there is no such split.
        DataError: `allowed_faults` is no share; at first use: files are missing or malformed, too much of them is
            unusable, or there is no sample.
    """

    card: ClassVar[Card]
    pairing: ClassVar[Pairing] = "pair"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    columns: ClassVar[Mapping[str, str] | None] = None
    on_disk: ClassVar[bool] = False
    aside: ClassVar[tuple[str, ...]] = ("root", "strict", "skip", "allowed_faults")

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "train",
        strict: bool = False,
        allowed_faults: float = 0.01,
        skip: str | None = None,
    ) -> None:
        if split not in self.splits:
            raise UnknownName(
                f"{self.card.name} has no split {split!r}", fix=did_you_mean(split, self.splits, what="splits")
            )
        self.root, self.split, self.strict = str(root), split, strict
        self.allowed_faults, self.skip = share(allowed_faults, self.card.name), skip
        self._rows: Sequence[Any] | None = None
        self._faults: Faults | None = None

    # What a reader writes.

    def files(self) -> Sequence[Expected]:
        """The files and folders this split needs, annotations first."""
        raise NotImplementedError

    def records(self, faults: Faults) -> Iterator[Any]:
        """The rows of this split, in the files' order.

        Args:
            faults: takes what is skipped or mended, and counts `images`, `captions` and so on.

        Raises:
            DataError: a file is missing or in another format.
        """
        raise NotImplementedError

    def sample(self, row: Any) -> Sample:
        """The sample of one row; no picture is read."""
        raise NotImplementedError

    # What every reader has.

    @property
    def name(self) -> str:
        """The registered name with the split: `coco/test`."""
        return f"{self.card.name}/{self.split}"

    @property
    def licence(self) -> str:
        """The data's licence."""
        return self.card.licence

    @property
    def root_folder(self) -> Path:
        """The root as a place to look in."""
        return Path(self.root)

    @property
    def rows(self) -> Sequence[Any]:
        """All rows, read at first use."""
        if self._rows is None:
            self._load()
        assert self._rows is not None
        return self._rows

    @property
    def faults(self) -> Faults:
        """What was wrong with the annotations, and how much was read."""
        if self._faults is None:
            self._load()
        assert self._faults is not None
        return self._faults

    @property
    def sizes(self) -> Mapping[str, int]:
        """How much this split holds, by unit: `{"images": 5000, "captions": 25010}`."""
        return dict(self.faults.sizes)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.sample(self.rows[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self.sample(row) for row in self.rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, root={self.root!r})"

    def __getstate__(self) -> dict[str, Any]:
        # Workers read the annotations again (or map the same table): a pickled source is a few hundred bytes.
        return {**self.__dict__, "_rows": None, "_faults": None}

    @property
    def official(self) -> Mapping[str, int]:
        """The official sizes of this split, by unit; empty where the card states none."""
        return self.card.sizes.get(self.split, {})

    def describe(self) -> str:
        """One line: the name, the sizes, and the official ones."""
        said = f"official: {sizes_text(self.official)}" if self.official else "no official size"
        return f"{self.name}: {sizes_text(self.sizes) or f'{len(self):,} samples'} ({said})"

    def fingerprint(self) -> str:
        """A hash of 16 hex digits of the annotations, the split and the options; not of where they lie."""
        digest = hashlib.sha256(repr((self.card.name, self._options())).encode())
        for expected in self.files():
            expected.hash_into(digest, self.root_folder)
        for line in (*sorted(self.skipped_pictures()), *self.fingerprint_lines()):
            digest.update(line.encode())
        return digest.hexdigest()[:16]

    def fingerprint_lines(self) -> Iterable[str]:
        """What else the fingerprint takes in; a source without annotation files tells its pictures here."""
        return ()

    def missing(self) -> list[str]:
        """What is missing below the root, one line each; nothing is read."""
        root = self.root_folder
        if (there := kind_of(root)) != "folder":
            return [f"{root}: {'a file where a folder is expected' if there else 'missing'} (the root)"]
        return [line for expected in self.files() if (line := expected.missing(root))]

    def skipped_pictures(self) -> frozenset[str]:
        """Names of the pictures that the `skip` list leaves out, as paths below the root or in archives."""
        return read_skip_list(self.skip) if self.skip else frozenset()

    def _options(self) -> list[tuple[str, Any]]:
        """The options that change what the source holds, in a stable order."""
        own = {k: v for k, v in self.__dict__.items() if not k.startswith("_") and k not in self.aside}
        return sorted((k, placeless(v)) for k, v in own.items())

    def _load(self) -> None:
        root = require_folder(self.root_folder)
        if lines := [line for expected in self.files() if (line := expected.missing(root))]:
            raise DataError(
                f"{self.name} is incomplete: " + "; ".join(lines),
                fix=f"`vlzoo data check {self.card.name} --root {self.root}` tells the layout expected",
            )
        faults = Faults(self.name, self.allowed_faults)
        rows: Sequence[Any] | None = None
        if self.on_disk and self.columns is not None:
            rows, faults = self._from_disk(faults)
        elif self.columns is not None:
            rows = store.in_memory(self._kept(faults), self.columns, self._read_from())
        else:
            rows = list(self._kept(faults))
        faults.check()
        if not len(rows):
            note = f"`skip` lists {len(self.skipped_pictures()):,} pictures" if self.skip else ""
            raise faults.nothing_left([str(root / expected.path) for expected in self.files()], note)
        self._rows, self._faults = rows, faults
        self._compare()

    def _kept(self, faults: Faults) -> Iterator[Any]:
        left_out = self.skipped_pictures()
        for row in self.records(faults):
            if left_out and any(image.name in left_out for image in self.sample(row).images):
                continue
            yield row

    def _from_disk(self, faults: Faults) -> tuple[Sequence[Any], Faults]:
        assert self.columns is not None
        root = self.root_folder
        if not _writable(store.cache_folder()):
            return store.in_memory(self._kept(faults), self.columns, self._read_from()), faults
        files = [root / expected.path for expected in self.files()]
        options = repr((self._options(), sorted(self.skipped_pictures()), sorted(self.columns.items())))
        file = store.cache_file(store.cache_folder(), self.name, files, options)
        if (found := store.reopened(file)) is not None:
            rows, notes = found
            return rows, Faults.from_notes(self.name, self.allowed_faults, notes)
        notes_later: dict[str, Any] = {}

        def noted() -> Iterator[Any]:
            yield from self._kept(faults)
            notes_later.update(faults.notes())

        return store.mapped(noted(), self.columns, file, notes_later, self._read_from()), faults

    def _read_from(self) -> str:
        """The annotation files, for messages about a row."""
        files = [str(self.root_folder / file.path) for file in self.files() if file.kind == "file"]
        return ", ".join(files) or self.root

    def _compare(self) -> None:
        """Print the sizes, and warn or raise where they are not the official ones."""
        logger.info("%s", self.describe())
        official = self.official
        sizes = {unit: number for unit, number in self.sizes.items() if official.get(unit, number) != number}
        if not sizes:
            return
        differing = "; ".join(f"{number:,} {unit}, officially {official[unit]:,}" for unit, number in sizes.items())
        if self.strict:
            raise DataError(
                f"{self.name} has another size: {differing}", where=self.root, fix="complete it, or strict: false"
            )
        warnings.warn(f"{self.name} has another size: {differing}", SizeWarning, stacklevel=2)


def _writable(folder: Path) -> bool:
    """Whether tables can be kept there; homes of compute nodes are read-only at times."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
