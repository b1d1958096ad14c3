"""How a part under test is built and called, and what is said of one that breaks a promise."""

from __future__ import annotations

import importlib

import pytest

import vlzoo
from vlzoo.testing import ContractError, check_rows
from vlzoo.testing.case import Case, is_described

PARTS = '''
class Silent:
    """Does little.

    Args:
        told: what this one does.
    """

    def __init__(self, *, told: int = 1, untold: int = 2):
        if told < 0:
            raise ValueError("told is negative")


class LongName:
    """Has none."""
'''


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A module that can be found by its name, as a plugin's can."""
    (tmp_path / "parts_under_test.py").write_text(PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return importlib.import_module("parts_under_test")


def test_an_option_that_nothing_is_said_of_is_refused(parts):
    case = Case.of("detector", parts.Silent)
    with pytest.raises(ContractError) as refused:
        is_described(case)
    assert str(refused.value).endswith(
        "parts_under_test.py:2: detector 'silent' says nothing of its option 'untold'\n"
        "  -> add `untold: ...` under `Args:` of its docstring; `vlzoo show` prints it"
    )
    is_described(Case.of("detector", parts.LongName))


def test_a_class_is_called_as_it_might_be_registered(parts):
    assert Case.of("detector", parts.LongName).called == "detector 'long-name'"
    assert Case.of("objective", "vlzoo:itc").called == f"objective 'itc' (vlzoo {vlzoo.__version__})"


def test_what_a_constructor_raises_is_said_with_its_line(parts):
    with pytest.raises(ContractError, match=r"parts_under_test.py:11: .* can't be built: ValueError: told is negative"):
        Case.of("detector", parts.Silent, {"told": -1}).build()


def test_an_option_without_a_default_must_be_given():
    with pytest.raises(ContractError) as refused:
        check_rows("mixed")
    assert "rows 'mixed' (vlzoo" in str(refused.value)
    assert ") can't be built here: its option 'mixer' has no default\n" in str(refused.value)
    assert "  -> give it: check_rows('mixed', options={'mixer': ...})" in str(refused.value)


def test_options_that_an_author_gives_come_before_small_ones():
    case = Case.of("objective", "itc", {"queue": 3})
    assert case.build(queue=9).length == 3
    assert case.taking(queue=9, wide=1) == {"queue": 9}
