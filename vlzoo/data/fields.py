"""Fields of a record that a file holds, checked: each error names the value and its place. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from vlzoo.errors import DataError, did_you_mean

T = TypeVar("T")
MAX_INTEGER = 2**63
"""Whole numbers of a file lie below it, and from minus it on: tables keep them in 64 bits."""

_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bool: "true or false",
}


def need(record: Mapping[str, Any], key: str, kind: type[T], where: str) -> T:
    """`record[key]`, checked.

    Raises:
        DataError: the key is missing (offers the nearest one) or its value is not of `kind`.
    """
    if key not in record:
        raise DataError(f"no key {key!r}", where=where, fix=did_you_mean(key, map(str, record), what="keys"))
    return typed(record[key], kind, where, f"the value of {key!r}")


def optional(record: Mapping[str, Any], key: str, kind: type[T], where: str) -> T | None:
    """`record[key]`, checked; None where the key is missing or its value is null.

    Raises:
        DataError: the value is not of `kind`, or a text that cannot be written again.
    """
    value = record.get(key)
    if isinstance(value, str) and _is_broken(value):
        raise DataError(f"the value of {key!r} is {short(value)}, which holds half a character", where=where)
    return None if value is None else typed(value, kind, where, f"the value of {key!r}")


def flag(record: Mapping[str, Any], key: str, where: str) -> bool:
    """`record[key]`, a yes or no that files write as 1 or 0 or as true or false; False where it is missing or null.

    Raises:
        DataError: another value: "0" would count as yes, and not a number as well.
    """
    value = record.get(key)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise DataError(f"the value of {key!r} is {short(value)}, expected 0 or 1", where=where)


def typed(value: Any, kind: type[T], where: str, what: str = "the value") -> T:
    """`value`, checked; a whole number passes as a number, true and false do not.

    Raises:
        DataError: it is of another kind, or a whole number of more than 64 bits; shows it.
    """
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if isinstance(value, bool) and kind not in (bool, object):
        fits = False
    if not fits:
        raise DataError(f"{what} is {short(value)}, expected {_NAMES.get(kind, kind.__name__)}", where=where)
    if kind in (int, float) and isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
        raise DataError(f"{what} is {short(value)}, a number of more than 64 bits", where=where)
    return float(value) if kind is float else value  # type: ignore[return-value]


def identifier(record: Mapping[str, Any], key: str, where: str) -> str:
    """An id as text; files give it as a number or as text.

    Raises:
        DataError: the key is missing, or its value is neither.
    """
    value = need(record, key, object, where)
    if isinstance(value, float) and value.is_integer():
        fix = f"write {value:.0f}: whole numbers become decimals where a program found gaps in their column"
        raise DataError(f"the id {key!r} is {value!r}, a decimal number", where=where, fix=fix)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise DataError(f"the id {key!r} is {short(value)}, expected a whole number or text", where=where)
    if isinstance(value, str) and _is_broken(value):
        raise DataError(f"the id {key!r} is {short(value)}, which holds half a character", where=where)
    return str(typed(value, type(value), where, f"the id {key!r}"))


def optional_identifier(record: Mapping[str, Any], key: str, where: str) -> str | None:
    """An id as text; None where the key is missing or its value is null.

    Raises:
        DataError: it is neither a number nor text.
    """
    return None if record.get(key) is None else identifier(record, key, where)


def _is_broken(text: str) -> bool:
    """Whether a text holds one half of a pair of surrogates, which JSON's escapes can write and UTF-8 cannot."""
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


def short(value: object) -> str:
    """A value for a message, cut to a readable length."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


class Ids:
    """The ids that were met so far. Readers and scorers ask it alike, so that both know the same duplicates.

    Args:
        what: what an id is called.
        numbers: ids are numbers, so that "007" is 7; else it is another text.
        fix: what to do about one that is there twice.
    """

    def __init__(self, what: str, *, numbers: bool = False, fix: str = "drop one of the two") -> None:
        self.what, self.numbers, self.fix = what, numbers, fix
        self._met: set[str] = set()

    def add(self, name: str, where: str) -> None:
        """Take one more id.

        Raises:
            DataError: it was met before.
        """
        plain = (name.lstrip("0") or "0") if self.numbers and name.isdecimal() else name
        if plain in self._met:
            raise DataError(f"{self.what} {name!r} is there twice", where=where, fix=self.fix)
        self._met.add(plain)


def unique(pairs: Iterable[tuple[str, T]], what: str, where: str, *, numbers: bool = False) -> dict[str, T]:
    """A mapping from pairs whose first entry must not repeat.

    Raises:
        DataError: names the id that is there twice.
    """
    found: dict[str, T] = {}
    ids = Ids(what, numbers=numbers)
    for key, value in pairs:
        ids.add(key, where)
        found[key] = value
    return found
