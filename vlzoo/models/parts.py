"""One part of a recipe's model: built, and refused where the model lacks what it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vlzoo.config.needs import lacking
from vlzoo.config.schema import PartRef
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import VlzooError


def check_needs(who: str, needs: Sequence[str], met: Collection[str]) -> None:
    """Refuse a part that needs of the model, or of its teacher, what it lacks.

    Args:
        who: the part, as messages name it.
        needs: keys of `vlzoo.config.needs.NEEDS`.
        met: those that the model meets.

    Raises:
        VlzooError: says what, and the remedy.
    """
    if refused := lacking(who, needs, met):
        raise VlzooError(refused[0], fix=refused[1])


def build_part(kind: str, ref: PartRef, derived: Mapping[str, Any]) -> Any:
    """Build a part of the model; `derived` options are given where it takes them and the recipe does not."""
    known = schema_of(registry().find(kind, ref.part)).names
    follows = {name: value for name, value in derived.items() if name in known}
    return registry().build(kind, ref.part, **{**follows, **ref.options})
