"""Whether a value fits an option's annotation, without importing the part."""

from __future__ import annotations

import ast
import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, Optional, Union

from pydantic import TypeAdapter, ValidationError

from vlzoo.door.options import check_names, schema_of
from vlzoo.door.parts import Option, Part
from vlzoo.errors import RecipeError, VlzooError

_TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "None": None,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "Literal": Literal,
    "Sequence": Sequence,
    "Mapping": Mapping,
    "Optional": Optional,
    "Union": Union,
    "Path": str,
    "Any": Any,
    "object": Any,
}


def misfit(value: Any, annotation: str) -> str | None:
    """What is wrong with `value` for an option annotated `annotation`; None where it fits.

    An annotation beyond plain types (a class of the part's own) admits everything: only the part can tell.
    """
    adapter = _adapter(annotation)
    if adapter is None:
        return None
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return f"{shown(value)} is no {annotation}" if len(error.errors()) > 1 else _reason(error, value, annotation)
    except (TypeError, ValueError):
        return f"{shown(value)} is no {annotation}"
    return None


def values_of(part: Part, written: Mapping[str, str], switch: str) -> dict[str, Any]:
    """The values of a part's options that were written on a command line, by option.

    Args:
        part: the part.
        written: by option, as it was written.
        switch: what stood before an option's name: `--set data.`.

    Raises:
        UnknownName: the part has no such option.
        VlzooError: a value is not YAML, or does not fit its option.
    """
    check_names(part, written, where=switch.rstrip(". "))
    known = {option.name: option for option in schema_of(part).options}
    return {
        name: value_of(text, known.get(name, Option(name)), f"{switch}{name}={text}") for name, text in written.items()
    }


def value_of(text: str, option: Option, where: str) -> Any:
    """The value of an option that was written on a command line: YAML, or the text itself where a text is wanted.

    Args:
        text: as it was written.
        option: which it is of.
        where: the switch and what was given to it, for errors.

    Raises:
        VlzooError: it is not YAML, or does not fit the option.
    """
    from vlzoo.config.tree import scalar  # here, as it imports yaml

    if is_text(option.type):
        return text
    try:
        value = scalar(text, where)
    except RecipeError as error:
        raise VlzooError(f"{text!r}: {error.problems[0].what}", where=where, fix=option.about or None) from error
    if takes_several(option.type) and not isinstance(value, list):
        value = [value]
    if reason := misfit(value, option.type):
        raise VlzooError(reason, where=where, fix=option.about or None)
    return value


def is_text(kind: str) -> bool:
    """Whether what was written is the value; of choices the part itself names the nearest."""
    return kind.replace(" ", "") in ("str", "str|None", "str|Path", "str|Path|None") or kind.startswith("Literal")


def takes_several(kind: str) -> bool:
    """Whether an annotation is that of a sequence."""
    return kind.startswith(("Sequence", "list", "tuple"))


def _reason(error: ValidationError, value: Any, annotation: str) -> str:
    detail = error.errors()[0]
    inside = "".join(f"[{step}]" for step in detail["loc"])
    said = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"{shown(value)} is no {annotation}" + (f" (at {inside}: wanted {said})" if inside else f" (wanted {said})")


def constant(text: str) -> tuple[bool, Any]:
    """Whether a default, as a source writes it, is a plain value, and the value as YAML has it.

    >>> constant("(3 / 4, None)"), constant("OPERATIONS")
    ((True, [0.75, None]), (False, None))
    """
    try:
        return True, _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError):
        return False, None


_ARITHMETIC: dict[type[ast.operator | ast.unaryop], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}


def _value(node: ast.expr) -> Any:
    """What an expression of plain values means; raises ValueError for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool | None):
        return node.value
    if isinstance(node, ast.Tuple | ast.List):
        return [_value(each) for each in node.elts]
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return {
            str(ast.literal_eval(key)): _value(held) for key, held in zip(node.keys, node.values, strict=True) if key
        }
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_number(node.left), _number(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_number(node.operand))
    raise ValueError(ast.unparse(node))


def _number(node: ast.expr) -> int | float:
    value = _value(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(ast.unparse(node))
    return value


def beyond(value: Any) -> bool:
    """Whether a value is a number that no part can compute with: not finite, or no whole number of 64 bits.

    >>> beyond(float("nan")), beyond(2**64), beyond(-3), beyond("nan")
    (True, True, False, False)
    """
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def shown(value: Any) -> str:
    """A value for an error message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@cache
def _adapter(annotation: str) -> TypeAdapter[Any] | None:
    if not annotation:
        return None
    try:
        return TypeAdapter(_read(ast.parse(annotation, mode="eval").body))
    except (SyntaxError, KeyError, TypeError, ValueError):
        return None


def _read(node: ast.expr) -> Any:
    """The type an annotation means; raises KeyError for anything but the plain types."""
    if isinstance(node, ast.Name):
        return _TYPES[node.id]
    if isinstance(node, ast.Attribute):
        return _TYPES[node.attr]
    if isinstance(node, ast.Constant):
        return None if node.value is None else _read(ast.parse(str(node.value), mode="eval").body)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[_read(node.left), _read(node.right)]  # noqa: UP007  built from two values, not written
    if isinstance(node, ast.Subscript):
        return _subscript(_read(node.value), node.slice)
    raise KeyError(ast.unparse(node))


def _subscript(outer: Any, node: ast.expr) -> Any:
    items = node.elts if isinstance(node, ast.Tuple) else [node]
    if outer is Literal:
        return Literal[tuple(ast.literal_eval(item) for item in items)]
    inner = [Ellipsis if isinstance(i, ast.Constant) and i.value is Ellipsis else _read(i) for i in items]
    return outer[tuple(inner) if len(inner) > 1 else inner[0]]
