"""What the shell completes: names of parts, kinds and recipes. No torch here.

`vlzoo` speaks click's protocol: `eval "$(_VLZOO_COMPLETE=bash_source vlzoo)"`, and `zsh_source`, `fish_source`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import click

from vlzoo.door.parts import KINDS
from vlzoo.door.plugins import registry

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Found = Iterator[tuple[str, str]]
"""Names, each with a line about it."""

Completer: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]"


def completing(*finders: Callable[[], Found], files: bool = False) -> Completer:
    """Completes names; where none begins so, files if those may stand there, too.

    Args:
        finders: where names come from.
        files: whether a path may stand in a name's place.
    """

    def complete(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = {name: about for find in finders for name, about in find() if name.startswith(begun)}
        items = [CompletionItem(name, help=about or None) for name, about in found.items()]
        return items or ([CompletionItem(begun, type="file")] if files else [])

    return complete


def kinds() -> Found:
    """The kinds of parts."""
    yield from KINDS.items()


def templates() -> Found:
    """The kinds of parts that `vlzoo new` writes."""
    from vlzoo.scaffold.package import kinds as written

    yield from ((kind, KINDS[kind]) for kind in written())


def parts(*wanted: str) -> Callable[[], Found]:
    """The parts of some kinds, or of all."""

    def find() -> Found:
        yield from ((part.name, part.summary) for part in registry() if not wanted or part.kind in wanted)

    return find


def recipes() -> Found:
    """The recipes that have a name: the methods, the tasks' and those that studies use."""
    from vlzoo.config.compose import known_recipes

    others = ("data/", "methods/")  # no recipes, and names of their own
    yield from ((name, "a recipe") for name in known_recipes() if not name.startswith(others))


RECIPES, OBJECTIVES = completing(recipes, files=True), completing(parts("objective"))
TASKS, SOURCES, ADAPTERS = completing(parts("task")), completing(parts("data")), completing(parts("adapter"))
