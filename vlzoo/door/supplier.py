"""Who supplied what gave something wrong: the part, its plugin with its version, and the line of its source."""

from __future__ import annotations

import sys
from typing import Any

from vlzoo.door.options import schema_of
from vlzoo.door.parts import Part
from vlzoo.door.plugins import registry
from vlzoo.errors import PluginError


def supplier(made: object) -> Part | None:
    """The registered part that something was built from; None where its class is nobody's target.

    >>> supplier(system.objectives["itm"]).qualified
    'vlzoo:itm'
    """
    for part in registry():
        module, _, attribute = part.target.partition(":")
        found: Any = sys.modules.get(module)
        for step in attribute.split("."):
            found = getattr(found, step, None)
        if found is made.__class__:
            return part
    return None


def wrong(
    made: object, what: str, *, fix: str | None = None, kind: str = "part", method: str = "", name: str = ""
) -> PluginError:
    """The error of a part that gave what it must not.

    Args:
        made: what was built from it.
        what: what it gave: "gave a Tensor, not a Loss".
        fix: the remedy, for its author.
        kind: of the part, where nobody registered its class.
        method: where it went wrong, `forward`.
        name: what the recipe calls it; empty: as it was registered.
    """
    part = supplier(made)
    code = getattr(getattr(made.__class__, method, None), "__code__", None)
    place = f"{code.co_filename}:{code.co_firstlineno}" if code else schema_of(part).where if part else ""
    called = name or (part.name if part else made.__class__.__name__)
    where = ", ".join(filter(None, [str(part.owner) if part else "", place]))
    return PluginError(f"{part.kind if part else kind} {called!r} {what}", where=where or None, fix=fix)
