"""Whether a value fits an annotation that was read from source."""

from __future__ import annotations

import pytest

from vlzoo.config.values import misfit, shown


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (3, "int"),
        (3, "float"),
        ("a", "str"),
        (None, "int | None"),
        ([1, 2], "tuple[int, int]"),
        ([1, 2, 3], "tuple[int, ...]"),
        ([0.5], "Sequence[float]"),
        ({"a": 1}, "Mapping[str, int]"),
        ("linear", 'Literal["linear", "mlp"]'),
        ("x/y", "Path | None"),
        ("x", "typing.Optional[str]"),
        (object, "Callable[[int], int]"),  # beyond plain types: only the part can tell
        ([1], "MyClass"),
        (1, ""),
        (1, "not a type ("),
    ],
)
def test_what_fits(value, annotation):
    assert misfit(value, annotation) is None


@pytest.mark.parametrize(
    ("value", "annotation", "reason"),
    [
        (3.5, "int", "3.5 is no int (wanted integer)"),
        (True, "int", "True is no int (wanted integer)"),
        ("3", "float", "'3' is no float (wanted number)"),
        ([1, "b"], "list[int]", "[1, 'b'] is no list[int] (at [1]: wanted integer)"),
        ("x", "int | None", "'x' is no int | None (wanted integer)"),
        ("x", "int | float", "'x' is no int | float"),
        ("c", 'Literal["a", "b"]', "'c' is no Literal[\"a\", \"b\"] (wanted 'a' or 'b')"),
    ],
)
def test_what_does_not_and_why(value, annotation, reason):
    assert misfit(value, annotation) == reason


def test_a_long_value_is_cut():
    assert len(shown("x" * 500)) == 60
