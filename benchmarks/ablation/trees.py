"""Recipes as plain data: what one says otherwise than another, and changes written into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def changed(tree: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a tree says otherwise than another; of another part everything.

    >>> changed({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 1}, "d": 3})
    {'a': {'c': 2}}
    """
    found = {}
    for name, value in tree.items():
        theirs = own.get(name)
        if name in own and value == theirs:
            continue
        if isinstance(value, Mapping) and isinstance(theirs, Mapping) and value.get("part") == theirs.get("part"):
            found[name] = changed(value, theirs)
        else:
            found[name] = value
    return found


def merged(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A tree with changes written into it, key by key."""
    both = dict(tree)
    for name, value in changes.items():
        deep = isinstance(value, Mapping) and isinstance(both.get(name), Mapping)
        both[name] = merged(both[name], value) if deep else value
    return both
