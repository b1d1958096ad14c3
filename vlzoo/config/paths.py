"""Paths in options of data: below the data's own folder, as recipes mean them; on a command line as seen from there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlzoo.door.options import schema_of
from vlzoo.door.parts import Option, Part
from vlzoo.door.plugins import registry


def is_path(option: Option) -> bool:
    """Whether an option is annotated as a path: `str | Path`."""
    return re.search(r"\bPath\b", option.type) is not None


def from_here(part: Part | None, name: str, value: Any) -> Any:
    """The value of an option of a data source as a command line means it.

    What is there as seen from where the user stands is that, as an absolute path; else the value stays, and means what
    it means in a recipe.

    Args:
        part: the data source; None: any that has an option of the name.
        name: the option's.
        value: as it was given.
    """
    if not isinstance(value, str) or not value or not Path(value).exists():
        return value
    parts = [part] if part is not None else registry().of("data")
    named = (option for each in parts for option in schema_of(each).options if option.name == name)
    return str(Path(value).resolve()) if any(is_path(option) for option in named) else value


def below(root: Path, part: Part, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with what lies below the data's folder told from there: where data lie is no part of what they are."""
    found, base = dict(options), root.resolve()
    for option in schema_of(part).options:
        value = found.get(option.name)
        if option.name != "root" and isinstance(value, str) and is_path(option) and Path(value).is_relative_to(base):
            found[option.name] = Path(value).relative_to(base).as_posix()
    return found
