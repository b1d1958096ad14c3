"""Faults of a large data set: counted by kind, listed, skipped up to a stated share, and above it a stop."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlzoo.data.fields import short
from vlzoo.errors import DataError
from vlzoo.files import write_text

KEPT = 10_000
"""How many faults are kept with their place; the counts go on."""


NAMED = 3
"""How many files a message names."""


def share(value: Any, where: str) -> float:
    """A share of records that may be unusable.

    Raises:
        DataError: it is no number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        what = f"`allowed_faults` is {short(value)}, expected a share from 0 to 1"
        raise DataError(what, where=where, fix="0.01 lets one record in a hundred be unusable")
    return float(value)


@dataclass(frozen=True)
class Fault:
    """One fault: its kind (`empty caption`), its place (file and line, or an id) and the offending value."""

    kind: str
    where: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}" + (f": {self.value}" if self.value else "")


@dataclass
class Faults:
    """What was wrong with a data set, and how much of it there is.

    Attributes:
        source: whose faults these are: `coco/train`.
        allowed: the share of records that may be skipped, 0.01 for 1 %.
        skipped: how many records were left out, by kind.
        mended: how many were changed and kept (a text cut, a box clipped), by kind.
        sizes: how much was read: `images`, `captions`, `regions`; compared with the official split sizes.
        listed: the first faults with their places.
    """

    source: str
    allowed: float = 0.01
    skipped: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    listed: list[Fault] = field(default_factory=list)

    def skip(self, kind: str, where: str, value: object = "", count: int = 1) -> None:
        """Note a record that is left out, or `count` of them at one place."""
        self.skipped[kind] += count
        self._keep(kind, where, value)

    def mend(self, kind: str, where: str, value: object = "") -> None:
        """Note a record that was changed and kept."""
        self.mended[kind] += 1
        self._keep(kind, where, value)

    def count(self, unit: str, number: int = 1) -> None:
        """Count what was read: `count("captions", 5)`."""
        self.sizes[unit] += number

    def check(self, total: int | None = None) -> None:
        """Stop where more was skipped than allowed.

        Args:
            total: how many records there were, good and bad; None: those counted, or those skipped if none was.

        Raises:
            DataError: names the counts, the share and the first place of each kind.
        """
        bad = sum(self.skipped.values())
        whole = total if total is not None else max([*self.sizes.values(), 0]) + bad
        if bad and bad > self.allowed * whole:
            first = "; ".join(str(fault) for fault in self._firsts())
            share = f"{bad:,} of {whole:,} records are unusable ({bad / max(whole, 1):.1%}; allowed {self.allowed:.1%})"
            raise DataError(
                f"{share}: {first}",
                where=self.source,
                fix="mend or download the data again, or raise `allowed_faults`",
            )

    def nothing_left(self, read: Sequence[str], note: str = "") -> DataError:
        """The error that a source holds no samples.

        Args:
            read: the files that were read.
            note: what else was left out.
        """
        counted = [f"{number:,} {unit}" for unit, number in self.sizes.items() if number]
        found = "; ".join([*counted, *self.lines(), *([note] if note else [])])
        more = f" and {len(read) - NAMED:,} more" if len(read) > NAMED else ""
        what = f"{self.source} holds no samples" + (f" ({found})" if found else "")
        return DataError(what, where=", ".join(read[:NAMED]) + more, fix="is it the right file, and the right split?")

    def merge(self, other: Faults) -> None:
        """Take in the faults another reader or worker found."""
        self.skipped.update(other.skipped)
        self.mended.update(other.mended)
        self.sizes.update(other.sizes)
        self.listed.extend(other.listed[: KEPT - len(self.listed)])

    def notes(self) -> dict[str, Any]:
        """All of it as plain json values, for a cached table."""
        return {
            "skipped": dict(self.skipped),
            "mended": dict(self.mended),
            "sizes": dict(self.sizes),
            "listed": [vars(fault) for fault in self.listed],
        }

    @classmethod
    def from_notes(cls, source: str, allowed: float, notes: dict[str, Any]) -> Faults:
        """The faults that `notes` gave."""
        skipped, mended, sizes = (Counter(notes[key]) for key in ("skipped", "mended", "sizes"))
        return cls(source, allowed, skipped, mended, sizes, [Fault(**fault) for fault in notes["listed"]])

    def lines(self) -> list[str]:
        """One line for each kind: how many, what was done, and the first place."""
        firsts = {fault.kind: fault for fault in self._firsts()}
        rows = [(kind, n, "skipped") for kind, n in self.skipped.most_common()]
        rows += [(kind, n, "mended") for kind, n in self.mended.most_common()]
        return [f"{n:,} {kind} ({done}); first: {firsts[kind].where}" for kind, n, done in rows if kind in firsts]

    def write(self, path: str | Path) -> None:
        """Write the list as json lines `{kind, where, value}`; the whole file or nothing."""
        rows = (json.dumps(vars(fault), ensure_ascii=False) for fault in self.listed)
        write_text(Path(path), "".join(row + "\n" for row in rows))

    def _keep(self, kind: str, where: str, value: object) -> None:
        if len(self.listed) < KEPT or not any(fault.kind == kind for fault in self.listed):
            shown = str(value)
            shown = shown if len(shown) <= 80 else shown[:77] + "..."
            # Half characters of a broken file could be neither printed nor written.
            place, shown = (text.encode("utf-8", "backslashreplace").decode() for text in (where, shown))
            self.listed.append(Fault(kind, place, shown))

    def _firsts(self) -> list[Fault]:
        seen: dict[str, Fault] = {}
        for fault in self.listed:
            seen.setdefault(fault.kind, fault)
        return list(seen.values())
