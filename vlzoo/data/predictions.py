"""Predictions that anybody made, held against the samples they are about. No torch here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from vlzoo.data.fields import short
from vlzoo.data.reading import read_bytes
from vlzoo.data.records import Sample
from vlzoo.data.tables import read_rows
from vlzoo.errors import DataError, PredictionError
from vlzoo.types import Row

T = TypeVar("T")
_SHOWN = 5


@dataclass(frozen=True)
class Files:
    """What `vlzoo score` was given.

    Attributes:
        predictions: the file of predictions.
        annotations: the file of annotations in its official format; None where the task can do without.
        allow_missing: samples without a prediction count as wrong, and their number is given.
        source: a data source in place of annotations; None: the file.
    """

    predictions: Path
    annotations: Path | None = None
    allow_missing: bool = False
    source: Any = None


class Listed(list[Sample]):
    """Samples of a file of annotations, with what stands beside figures as their data.

    Args:
        samples: the samples.
        data: name and fingerprint of the file.
        left_out: what its predictions may be about beside them: names of what has no agreed label.
    """

    def __init__(self, samples: Iterable[Sample], data: str, left_out: Iterable[str] = ()) -> None:
        super().__init__(samples)
        self.data, self._left_out = data, tuple(left_out)

    def left_out(self) -> tuple[str, ...]:
        """Names of what is no sample, but may be predicted."""
        return self._left_out

    def by(self, key: Callable[[Sample], str]) -> dict[str, Sample]:
        """The samples by the name that predictions call them by.

        Raises:
            DataError: two of one name.
        """
        found: dict[str, Sample] = {}
        for sample in self:
            if (name := key(sample)) in found:
                fix = "a prediction could be about either; drop one of the two"
                raise DataError(f"two samples are called {name!r}", where=self.data, fix=fix)
            found[name] = sample
        return found


class Refused(ValueError):
    """A value in a row of predictions that cannot be scored.

    Args:
        kind: what is wrong, as a plural: `answers that are not strings`.
        shown: the value.
    """

    def __init__(self, kind: str, shown: object) -> None:
        super().__init__(kind)
        self.kind, self.shown = kind, shown


def check_complete(names: Sequence[str], rows: Collection[str], where: str | None = None) -> None:
    """Refuse predictions that are not those of some samples.

    Args:
        names: of the samples, no two alike.
        rows: the names that there are predictions of.
        where: what the samples are of.

    Raises:
        PredictionError: some are missing, or are of samples that there are not.
    """
    missing, strange = [name for name in names if name not in rows], sorted(set(rows) - set(names))
    said = [f"{len(missing)} predictions missing ({', '.join(missing[:3])})"] if missing else []
    said += [f"{len(strange)} unknown ({', '.join(strange[:3])})"] if strange else []
    if said:
        raise PredictionError(", ".join(said), where=where, fix="run the bench again; it goes on where it stopped")


def row_id(row: Mapping[str, Any], key: str) -> str:
    """The id under `key` of a row of predictions, as text: 17 and "17" are one id.

    Raises:
        KeyError: the row has none.
        Refused: it is neither a whole number nor text.
    """
    value = row[key]
    if isinstance(value, float) and value.is_integer():
        raise Refused(f"rows whose {key!r} is a decimal number, where a whole one such as 7 is written", value)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise Refused(f"rows whose {key!r} is no whole number or text", value)
    return str(value)


def server_ids(names: Sequence[str]) -> Sequence[int | str]:
    """Ids as servers write them: numbers where all of them are, else texts.

    A collection's ids are of one kind: those of Open Images (TextVQA, TextCaps) have letters, but for a few.

    >>> server_ids(["391895", "7"]), server_ids(["391895", "007"]), server_ids(["4529184520368734", "a7"])
    ([391895, 7], ['391895', '007'], ['4529184520368734', 'a7'])
    """
    numbers = all(name.isdecimal() and name.isascii() and name == str(int(name)) for name in names)
    return [int(name) for name in names] if numbers else list(names)


@dataclass
class Refusals:
    """What is wrong with a file, by kind; nothing is said until everything was looked at."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str) -> None:
        """Note one more fault of this kind."""
        self.found.setdefault(kind, []).append(name)

    def refuse(self, where: Path, fix: str | None = None) -> None:
        """Raise if anything was found.

        Raises:
            PredictionError: with every kind, its count and its first few names.
        """
        if self.found:
            raise PredictionError("; ".join(map(_counted, self.found, self.found.values())), where=str(where), fix=fix)


def _counted(kind: str, names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{len(names)} {kind}: {shown}" + (", ..." if len(names) > _SHOWN else "")


@dataclass(frozen=True)
class Collected(Generic[T]):
    """Predictions by id.

    Attributes:
        values: id -> prediction, in the order of the annotations.
        missing: ids without one; not empty only where that was allowed.
    """

    values: Mapping[str, T]
    missing: tuple[str, ...]


def collect(
    path: Path,
    key: Callable[[Row], str],
    value: Callable[[Row], T],
    expected: Collection[str],
    *,
    allow_missing: bool = False,
    countable: bool = True,
    beside: Collection[str] = (),
    columns: Sequence[str] | None = None,
) -> Collected[T]:
    """Predictions held against the ids that the annotations know.

    Args:
        path: file of predictions, as `read_rows` takes it.
        key: the id in a row; raises KeyError where the row has none.
        value: the prediction in a row; raises `Refused` or KeyError.
        expected: ids of the annotations.
        allow_missing: ids without a prediction are returned, not refused.
        countable: whether what has no prediction could count as wrong, for the message.
        beside: further ids that rows may be about; these are read, checked and not returned.
        columns: of a table of predictions that may have no line of names.

    Raises:
        PredictionError: rows without the needed fields, unknown, duplicate or missing ids, values that cannot be
            scored: all of them at once, counted, with the first few named.
    """
    known, values, seen, refusals = frozenset(expected), dict[str, T](), set[str](), Refusals()
    others = frozenset(beside)
    for where, row in read_rows(path, columns=columns):
        place, name = f"the row at {where.removeprefix(str(path)).lstrip(':')}", None
        try:
            name = key(row)
            values[name] = value(row)
        except KeyError as error:
            refusals.add(f"rows without {error.args[0]!r}", f"{place}, whose keys are {', '.join(map(str, row))}")
            continue
        except Refused as refused:
            refusals.add(refused.kind, f"{name or place} has {short(refused.shown)}")
        if name is None:
            continue
        if name in seen:
            refusals.add("duplicate ids", name)
        elif name not in known and name not in others:
            refusals.add("unknown ids", name)
        seen.add(name)
    missing = tuple(name for name in expected if name not in seen)
    for name in () if allow_missing and len(missing) < len(known) else missing:
        refusals.add("missing ids", name)
    refusals.refuse(path, _remedy(refusals, len(known), countable))
    return Collected({name: values[name] for name in expected if name in values}, missing)


def fingerprint(path: Path) -> str:
    """Name of a file with the first twelve digits of its content's SHA-256 (unpacked), as printed with a score."""
    return f"{path.name} (sha256 {hashlib.sha256(read_bytes(path)).hexdigest()[:12]})"


def _remedy(refusals: Refusals, known: int, countable: bool) -> str | None:
    if len(refusals.found.get("missing ids", ())) == known:
        return "not one prediction belongs to these annotations: are they of another split?"
    if set(refusals.found) == {"missing ids"}:
        counted = "--allow-missing counts them as wrong and says so beside the number"
        return counted if countable else "every one is needed: this task has no wrong prediction to put in its place"
    return "every id must be in the annotations, once, with a value that can be scored"
