"""Odd values, and every place of a file where one can stand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3.5, 2**63, 10**30, float("nan"), float("inf"), "", " ", "\ud800", "x" * 60_000),
    *("false", "1", [], [None], ["a"], {}, {"a": 1}),
)
CELLS = ("", "nan", "-1", "1e400", "true", "\0", '"', "a\tb", "a\rb", "\ud800", "x" * 60_000, "None")
"""For the cells of a table, which are all text."""
GONE = object()
"""The value is taken away, with its key."""
KINDS = {bool: "truth", int: "number", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}


class Change(NamedTuple):
    """A file with one value changed: its place, the whole content, what was there and what is there now."""

    place: str
    rows: Any
    was: Any
    value: Any

    @property
    def kinds(self) -> tuple[str, str]:
        """What kind of value was there, and is there now."""
        return KINDS[type(self.was)], KINDS[type(self.value)]

    @property
    def same_kind(self) -> bool:
        """Whether the format can't tell by the kind alone that it is wrong."""
        return self.kinds[0] == self.kinds[1]

    def __str__(self) -> str:
        return f"{self.place} = {str(self.value)[:40]!r} (was {str(self.was)[:40]!r})"


def changes(form: Any) -> Iterator[Change]:
    """All changes of a file's form: of a table's first two rows, of JSON's first entries."""
    if form.cells:
        for at in [(r, c) for r, row in enumerate(form.rows[:2]) for c in range(len(row))]:
            for value in CELLS:
                rows, was = changed(form.rows, at, value)
                yield Change("/".join(map(str, at)), rows, was, value)
        return
    for at in places(form.rows):
        if at or not form.lines:
            for value in (*ODD, *([GONE] if len(at) > 1 else [])):
                rows, was = changed(form.rows, at, value)
                yield Change("/".join(map(str, at)), rows, was, value)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value; of a list the first entry speaks for all."""
    yield at
    if isinstance(value, dict):
        for key in list(value)[:12]:
            yield from places(value[key], (*at, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*at, 0))


def changed(rows: Any, at: tuple[Any, ...], value: Any) -> tuple[Any, Any]:
    """A copy with one value replaced or taken away, and what stood there."""
    whole = {"": copy.deepcopy(rows)}
    inner: Any = whole
    path = ("", *at)
    for key in path[:-1]:
        inner = inner[key]
    was = inner[path[-1]]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return whole.get(""), was
