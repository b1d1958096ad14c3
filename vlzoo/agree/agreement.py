"""What an agreement is: it says which goldens it reads, and gives one result a quantity.

A golden is a file of values that official code gave; an agreement computes the same values here and compares. It lives
with the method it checks and is registered like any part:

    registry.agreement("tcl-pretrain", "vlzoo_tcl.agree:Pretrain", summary="one pre-training step of TCL")

Every registered agreement is imported to learn which goldens it reads, so its module imports no torch: `compare` does.
"""

from __future__ import annotations

import gzip
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import ClassVar

from vlzoo.errors import DataError

OUTPUT = re.compile(r"(^|/)(out|grad|after)/")
"""Names of recorded tensors that official code gave; the others are what it was given."""

NOTHING = "nothing here computes it"
"""Why an output is uncovered."""

_SNIFFED = 1 << 16


@dataclass(frozen=True)
class Check:
    """One quantity compared.

    Attributes:
        quantity: what was compared, `vqa/official` or `albef_pretrain/loss_itm`.
        difference: the largest absolute difference over all its values; NaN never agrees.
        tolerance: the largest difference that agrees; 0 means exactly equal.
        compared: how many values were compared.
    """

    quantity: str
    difference: float
    tolerance: float
    compared: int = 1

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Uncovered:
    """Something a golden holds that nothing here computes, and why. Unless it is excepted, it counts like a miss."""

    quantity: str
    why: str


@dataclass(frozen=True)
class Skipped:
    """Something that can't be compared on this machine or at all, and why; it is said and does not count.

    A package or annotations that are not there, a figure that the order of equal scores decides.
    """

    quantity: str
    why: str


Result = Check | Uncovered | Skipped


class Agreement(ABC):
    """The comparison of one kind of golden.

    >>> class Halves(Agreement):
    ...     pattern = "my_halves*.json"
    ...
    ...     def compare(self, path):
    ...         yield Check("my_halves/mean", abs(0.5 - 0.5), 1e-6)
    >>> [check.ok for check in Halves().compare(Path("my_halves.json"))]
    [True]

    Attributes:
        pattern: file name of its goldens, with `*` and `?`; gzip's `.gz` may follow it.
        holds: text within the first 64 KiB of the file, where its name says too little.
        prefix: how the names of its quantities begin; empty where it is the golden's own name and a slash.
    """

    pattern: ClassVar[str]
    holds: ClassVar[str] = ""
    prefix: ClassVar[str] = ""

    def reads(self, path: Path) -> bool:
        """Whether a file is one of its goldens.

        Raises:
            DataError: the file has the name of one and can't be read.
        """
        if not fnmatch(path.name.removesuffix(".gz"), self.pattern):
            return False
        return not self.holds or self.holds.encode() in _start(path)

    @abstractmethod
    def compare(self, path: Path) -> Iterable[Result]:
        """Compare one golden.

        Args:
            path: the golden, plain or gzipped; its tensors are beside it, `NAME.safetensors`.

        Raises:
            DataError: the golden can't be read.
        """


def name_of(path: Path) -> str:
    """A golden's name: what comes before the first dot of its file's."""
    return path.name.partition(".")[0]


def _start(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
            return opened.read(_SNIFFED)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"can't be read: {error}", where=str(path), fix="is it cut off?") from error
