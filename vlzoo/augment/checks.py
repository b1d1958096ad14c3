"""Checks of augmentation options: a wrong value is named with its option and what it may be."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from vlzoo.errors import UnknownName, VlzooError, did_you_mean


def whole(part: str, option: str, value: object, least: int = 1) -> int:
    """A whole number of at least `least`.

    Raises:
        VlzooError: it is another kind of value, or smaller.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _wrong(part, option, value, f"a whole number of at least {least}")
    return value


def number(part: str, option: str, value: object, low: float, high: float) -> float:
    """A number from `low` to `high`, both allowed.

    Raises:
        VlzooError: it is another kind of value, or outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _wrong(part, option, value, f"a number from {low:g} to {high:g}")
    return float(value)


def span(part: str, option: str, value: object, low: float, high: float) -> tuple[float, float]:
    """Two numbers in rising order, above `low` and up to `high`.

    Raises:
        VlzooError: they are not two numbers, fall, or lie outside.
    """
    numbers = numbers_of(part, option, value, 2)
    if not low < numbers[0] <= numbers[1] <= high:
        raise _wrong(part, option, value, f"two rising numbers above {low:g}" + _upto(high))
    return numbers[0], numbers[1]


def switch(part: str, option: str, value: object) -> bool:
    """True or False.

    Raises:
        VlzooError: it is another kind of value.
    """
    if not isinstance(value, bool):
        raise _wrong(part, option, value, "true or false")
    return value


def numbers_of(part: str, option: str, value: object, count: int) -> tuple[float, ...]:
    """A list of `count` numbers.

    Raises:
        VlzooError: it is something else.
    """
    listed = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == count
    if not listed or not all(isinstance(item, int | float) and not isinstance(item, bool) for item in value):  # type: ignore[attr-defined]
        raise _wrong(part, option, value, f"a list of {count} numbers")
    return tuple(float(item) for item in value)  # type: ignore[attr-defined]


def one_of(part: str, option: str, value: object, known: Collection[str]) -> str:
    """One of the names `known`.

    Raises:
        UnknownName: it is not; the nearest one is offered.
    """
    if not isinstance(value, str) or value not in known:
        raise UnknownName(
            f"{option} can't be {value!r}",
            where=_where(part, option),
            fix=did_you_mean(str(value), known, what="choose from"),
        )
    return value


def _upto(high: float) -> str:
    return "" if high == float("inf") else f" and at most {high:g}"


def _where(part: str, option: str) -> str:
    return f"augmentation {part}, option {option}"


def _wrong(part: str, option: str, value: object, wanted: str) -> VlzooError:
    return VlzooError(f"{option} can't be {value!r}", where=_where(part, option), fix=f"give {wanted}")
