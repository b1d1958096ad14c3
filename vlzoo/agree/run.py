"""Find goldens, compare each, and gather the rows."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

from vlzoo.agree.check import Check, Row, Uncovered
from vlzoo.agree.registry import AGREEMENTS, Agreement
from vlzoo.errors import DataError, VlzooError

_INDEX = "INDEX.json"
_SNIFFED = 1 << 16


@dataclass(frozen=True)
class Found:
    """A golden and the agreements that read it.

    Attributes:
        path: its file.
        agreements: empty where none knows it.
    """

    path: Path
    agreements: tuple[Agreement, ...]


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
        checks: the golden's file name and its row, in the order of the files.
        uncovered: likewise, for what was not compared.
        errors: goldens that could not be read.
    """

    checks: tuple[tuple[str, Check], ...]
    uncovered: tuple[tuple[str, Uncovered], ...]
    errors: tuple[VlzooError, ...]

    @property
    def misses(self) -> int:
        """How many quantities differ by more than their tolerance."""
        return sum(not check.ok for _, check in self.checks)


def run(path: Path, only: str = "*") -> Report:
    """Compare every golden under a folder, or one file.

    Args:
        path: folder or file. A folder's `../data/eval_fixtures` counts as under it, too.
        only: pattern on a quantity or on a golden's file name.

    Raises:
        DataError: no such path, or nothing there that is a golden.
    """
    found = list(discover(path))
    if not found:
        kinds = "NAME.json with NAME.safetensors, vqa_cases.json, or the evaluator fixtures' README.txt"
        raise DataError("no golden here", where=str(path), fix=f"goldens are {kinds}")
    rows: list[tuple[str, Row]] = []
    errors: list[VlzooError] = []
    for golden in found:
        try:
            rows += [(golden.path.name, row) for row in _compare(golden, only)]
        except VlzooError as error:
            errors.append(error)
    rows = [(name, row) for name, row in rows if _wanted(only, name, row.quantity)]
    checks = tuple((name, row) for name, row in rows if isinstance(row, Check))
    uncovered = tuple((name, row) for name, row in rows if isinstance(row, Uncovered))
    if not (rows or errors):
        raise DataError(f"nothing matches --only {only!r}", where=str(path), fix="see the quantities without --only")
    return Report(checks, uncovered, tuple(errors))


def discover(path: Path) -> Iterator[Found]:
    """The goldens at a path, sorted by name.

    Raises:
        DataError: no such path.
    """
    if path.is_file():
        if _agreements(path) or _looks_golden(path):
            yield Found(path, _agreements(path))
        return
    if not path.is_dir():
        raise DataError("no such file or folder", where=str(path))
    files = sorted(file for file in path.rglob("*") if file.is_file())
    beside = path.resolve().parent / "data" / "eval_fixtures" / "README.txt"
    if beside.is_file() and not any(file.name == beside.name and _agreements(file) for file in files):
        files.append(beside)
    for file in files:
        agreements = _agreements(file)
        if agreements or _looks_golden(file):
            yield Found(file, agreements)


def _agreements(file: Path) -> tuple[Agreement, ...]:
    return tuple({agreement.target: agreement for agreement in AGREEMENTS if _is_kind(file, agreement)}.values())


def _is_kind(file: Path, agreement: Agreement) -> bool:
    if not fnmatch(file.name.removesuffix(".gz"), agreement.pattern):
        return False
    if not agreement.holds:
        return True
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
        return agreement.holds.encode() in opened.read(_SNIFFED)


def _looks_golden(file: Path) -> bool:
    """A json with tensors of its name beside it, or one in a folder with an index."""
    if not file.name.removesuffix(".gz").endswith(".json") or file.name == _INDEX:
        return False
    return file.with_suffix(".safetensors").is_file() or (file.parent / _INDEX).is_file()


def _compare(golden: Found, only: str) -> Iterator[Row]:
    if not golden.agreements:
        yield Uncovered(golden.path.name.split(".")[0], "no agreement reads this kind of golden")
    for agreement in golden.agreements:
        if not _may_hold(golden.path, agreement, only):
            continue
        module, name = agreement.target.split(":")
        try:
            yield from getattr(import_module(module), name)(golden.path)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise DataError(
                f"not a golden of this kind: {type(error).__name__}: {error}", where=str(golden.path)
            ) from error


def _may_hold(golden: Path, agreement: Agreement, only: str) -> bool:
    """Whether a golden can give a quantity that fits: models are not run for nothing."""
    prefix = agreement.prefix or f"{golden.name.split('.')[0]}/"
    literal = re.split(r"[*?[]", only, maxsplit=1)[0]
    return _wanted(only, golden.name) or literal.startswith(prefix) or prefix.startswith(literal)


def _wanted(only: str, *names: str) -> bool:
    """Whether a pattern fits one of the names; it may leave out a file's suffix."""
    return any(fnmatch(name, only) or fnmatch(name.split(".")[0], only) for name in names)
