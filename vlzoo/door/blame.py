"""Errors in a part's own code, said with the part, its plugin with its version, and the line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vlzoo.door.options import schema_of
from vlzoo.door.parts import Part
from vlzoo.errors import PluginError, VlzooError, named, raised_in


@contextmanager
def blamed(part: Part, doing: str) -> Iterator[None]:
    """Around a part's own code: an error that is no `VlzooError` becomes one that names part, plugin, file and line.

    Args:
        part: whose code it is.
        doing: what fails then: "can't be built".

    Raises:
        PluginError: as said.
    """
    try:
        yield
    except VlzooError:
        raise
    except Exception as error:
        place = raised_in(error, part.package) or schema_of(part).where
        where = ", ".join(filter(None, [str(part.owner), place]))
        what = f"{part.kind} {part.name!r} {doing}: {named(error)}"
        raise PluginError(what, where=where, fix=f"`vlzoo show {part.kind}/{part.name}` lists its options") from error
