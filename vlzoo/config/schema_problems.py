"""What pydantic finds wrong with a recipe's keys and types, said with file, line and remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from vlzoo.config import schema
from vlzoo.config.tree import Path_, Tree, dotted
from vlzoo.config.values import shown
from vlzoo.errors import Problem, did_you_mean


def schema_problems(tree: Tree) -> Iterator[Problem]:
    """Unknown and missing keys, and values that do not fit."""
    try:
        schema.Recipe.model_validate_json(json.dumps(tree.data))
    except ValidationError as error:
        # A union reports every branch that failed; the first says enough about one value.
        seen: set[Path_] = set()
        for detail in error.errors():
            path = _real_path(detail["loc"], tree.data)
            if path not in seen:
                seen.add(path)
                yield _problem(dict(detail), path, tree)


def _real_path(loc: tuple[int | str, ...], data: Any) -> Path_:
    """The key path of an error, without the names of union branches that pydantic adds."""
    path: list[int | str] = []
    for step in loc:
        held = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if held or (isinstance(data, dict) and step in data):
            data = data[step]
            path.append(step)
        elif step == loc[-1] and isinstance(step, str) and isinstance(data, dict):
            path.append(step)
    return tuple(path)


def _problem(detail: dict[str, Any], path: Path_, tree: Tree) -> Problem:
    where = tree.origin(path)
    if detail["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        return Problem(
            where, dotted(path), f"there is no key {path[-1]!r} here", did_you_mean(str(path[-1]), known, what="keys")
        )
    if detail["type"] == "missing":
        missing = detail["loc"][-1]
        what = f"{missing!r} is missing" if isinstance(missing, str) else f"entry {missing} of the list is missing"
        return Problem(where, dotted(path), what)
    wanted = detail["msg"].removeprefix("Input should be ")
    wanted = {"an object": "a mapping of keys to values", "a valid array": "a list"}.get(wanted, wanted)
    if detail["type"] == "literal_error":
        options = [each.strip(" '") for each in str(detail["ctx"]["expected"]).replace(" or ", ",").split(",")]
        return Problem(
            where,
            dotted(path),
            f"{shown(detail['input'])} is none of the choices",
            did_you_mean(str(detail["input"]), options, what="choices"),
        )
    return Problem(where, dotted(path), f"{shown(detail['input'])} does not fit: wanted {wanted}")


def _keys_at(path: Path_) -> list[str]:
    """The keys a section may have."""
    model: Any = schema.Recipe
    for step in path:
        field = model.model_fields.get(step) if isinstance(step, str) and model else None
        model = _model_in(field.annotation) if field else model if isinstance(step, int) else None
        if model is None:
            return []
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
