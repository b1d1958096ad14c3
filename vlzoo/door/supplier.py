"""Who supplied what gave something wrong: the part, its plugin with its version, and the line of its source."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from typing import Any

from vlzoo.door.options import schema_of
from vlzoo.door.parts import CORE, Owner, Part
from vlzoo.door.plugins import door, registry
from vlzoo.errors import PluginError, raised_in

SHARED = frozenset({CORE, "torch", "torchvision", "accelerate", "transformers", "tokenizers", "timm", "numpy", "PIL"})
"""Packages that are no plugin's though one may name a target in them."""
MEND_THERE = "mend it there, or tell its author; `vlzoo --trace ...` shows the whole traceback"
"""The remedy where a stranger's code raised something."""


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


def strangers() -> dict[str, Owner]:
    """The packages that plugins brought, and who supplied each; vlzoo's own is not among them."""
    pairs = [(part.package, part.owner) for part in registry()]
    pairs += [(each.candidate.module.partition(".")[0], each.owner) for each in door().plugins if each.loaded]
    return {package: owner for package, owner in pairs if owner.dist != CORE and package not in SHARED}


def at_work() -> list[Owner]:
    """The plugins that parts were imported of, in this process; vlzoo is not among them."""
    used = {part.owner for part in registry() if part.target.partition(":")[0] in sys.modules}
    return sorted((owner for owner in used if owner.dist != CORE), key=str)


def stranger_behind(error: BaseException) -> tuple[Owner, str] | None:
    """The plugin whose code an error passed through last, and the line, `FILE:LINE`; None where it met none."""
    known = strangers()
    found = [(known[package], place) for package, place in _passed(error) if package in known]
    return found[-1] if found else None


def _passed(error: BaseException) -> Iterator[tuple[str, str]]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        yield package, f"{frame.f_code.co_filename}:{line}"


def raised(made: object, error: BaseException, when: str, *, kind: str = "part", name: str = "") -> PluginError:
    """The error of a part that raised one, with the plugin and the line where it was raised.

    Args:
        made: what was built from the part.
        error: what it raised.
        when: at which point: "at step 3".
        kind: as `wrong`'s; so is `name`.
    """
    part, behind = supplier(made), stranger_behind(error)
    said = f"{type(error).__name__} {when}" + (f": {error}" if str(error) else "")
    owner, place = behind or (part.owner if part else "", raised_in(error, made.__class__.__module__.partition(".")[0]))
    called = name or (part.name if part else made.__class__.__name__)
    # A loss of vlzoo's reads a stranger's encoder: then both are named.
    of = f" ({part.owner})" if part and part.owner != owner else ""
    return PluginError(
        f"{part.kind if part else kind} {called!r}{of} raised {said}",
        where=", ".join(filter(None, [str(owner), place])) or None,
        fix=MEND_THERE,
    )


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
