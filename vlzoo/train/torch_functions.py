"""Functions of torch that somebody has replaced: all parts compute with torch, so that one part changes all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from vlzoo.door.supplier import SHARED, strangers
from vlzoo.torch_places import PLACES, is_watched

ORIGINAL = {place: dict(vars(space)) for place, space in PLACES.items()}
"""Everything there by place and name, as it was when training was imported; parts are imported later."""


class Replaced(NamedTuple):
    """A function that is another than torch's.

    Attributes:
        name: its full name, `torch.nn.functional.normalize`.
        by: the plugin with its version, or the package or function that took its place.
        where: `FILE:LINE` of what took its place; empty where it is no Python.
        known: whether `by` is a plugin.
    """

    name: str
    by: str
    where: str
    known: bool


def replaced(*, thoroughly: bool = False) -> list[Replaced]:
    """The functions, methods and classes of torch that are not torch's own any more.

    >>> replaced()
    []

    Args:
        thoroughly: also those that were replaced before training was imported, by what a plugin defines.
    """
    suspects, found = list(_suspects(thoroughly)), []
    known = strangers() if suspects else {}
    for place, name, value in suspects:
        package, called = _package(value), str(getattr(value, "__name__", type(value).__name__))
        if package in known:
            found.append(Replaced(f"{place}.{name}", str(known[package]), _line(value), known=True))
        elif _is_swapped(place, name, value) and package not in SHARED - {"torch"}:
            by = f"{getattr(value, '__module__', None) or package or 'torch'}.{called}"
            found.append(Replaced(f"{place}.{name}", by, _line(value), known=False))
    return found


def _suspects(thoroughly: bool) -> Iterator[tuple[str, str, Any]]:
    for place, before in ORIGINAL.items():
        now: Mapping[str, Any] = vars(PLACES[place])
        for name, value in list(now.items()):
            changed = (thoroughly or value is not before.get(name)) and is_watched(f"{place}.{name}", value)
            if changed and _was_there(place, name):
                yield place, name, value


def _was_there(place: str, name: str) -> bool:
    """Whether torch had it, there or in a class that this one inherits from; else it was added and replaces nothing."""
    inherited = getattr(PLACES[place], "__mro__", ())[1:]
    return name in ORIGINAL[place] or any(name in vars(base) for base in inherited)


def _is_swapped(place: str, name: str, value: Any) -> bool:
    """Whether it is another than before, and not what torch itself puts there when it is first asked for."""
    before = ORIGINAL[place].get(name)
    if value is before:
        return False
    ours = _package(value) in ("torch", "builtins")
    return not ours or (before is not None and not name.startswith("_") and getattr(value, "__name__", name) != name)


def _function(value: Any) -> Any:
    """The function behind a partial, a method, a property or an object that can be called."""
    if isinstance(value, partial):
        return _function(value.func)
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    if isinstance(value, type) or hasattr(value, "__code__"):
        return value
    call = type(value).__call__ if callable(value) else None
    return call if hasattr(call, "__code__") else value


def _package(value: Any) -> str:
    """The package whose code it is; a wrapper has the name of what it wraps, and its own globals."""
    found = _function(value)
    module = getattr(found, "__globals__", {}).get("__name__") or getattr(found, "__module__", None)
    module = module or type(found).__module__
    return str(module).partition(".")[0]


def _line(value: Any) -> str:
    code = getattr(_function(value), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""
