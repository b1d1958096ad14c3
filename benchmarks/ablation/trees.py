"""Recipes as plain data: what one says otherwise than another, and values that stand for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def exchanged(tree: Any, stands: Sequence[tuple[Any, Any]]) -> Any:
    """A tree in which some values stand for others, wherever they are.

    >>> exchanged({"of": "a", "b": [{"of": {"part": "c"}}]}, [("a", "x"), ({"part": "c"}, "y")])
    {'of': 'x', 'b': [{'of': 'y'}]}

    Args:
        tree: plain data.
        stands: a value, text or a mapping, and what is put in its place.
    """
    for value, other in stands:
        if tree == value:
            return other
    if isinstance(tree, Mapping):
        return {name: exchanged(value, stands) for name, value in tree.items()}
    return [exchanged(value, stands) for value in tree] if isinstance(tree, list) else tree
