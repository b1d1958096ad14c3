"""Each check of agreements refuses one that breaks it."""

from __future__ import annotations

import pytest

from vlzoo import Agreement
from vlzoo.agree.agreement import Check as Compared
from vlzoo.testing import (
    agreement,
    check_agreement,
)
from vlzoo.testing.case import is_described
from vlzoo.testing.imports import does_no_work_at_import


class Other:
    """No part of any kind."""


class Sums(Agreement):
    """Compares one number."""

    pattern = "sums_*.json"

    def compare(self, path):
        yield Compared("sums/one", 0.0, 1e-6)


class Greedy(Sums):
    """Reads every file."""

    pattern = "*"


class Worded(Sums):
    """Knows its goldens by a word in them, whatever they are called."""

    pattern = "*.json"
    holds = '"sums"'


class Twice(Sums):
    """Names one quantity twice."""

    def compare(self, path):
        yield from [*super().compare(path)] * 2


class Nothing(Sums):
    """Compares nothing."""

    def compare(self, path):
        return []


AGREEMENT = [
    (is_described, type("Bare", (Sums,), {"__doc__": None}), "has no docstring"),
    (agreement.compares_its_goldens, Other, "which is no Agreement"),
    (agreement.compares_its_goldens, Greedy, "reads no-golden-of-anybody.json"),
    (agreement.compares_its_goldens, Twice, "names a quantity of sums_a.json twice"),
    (agreement.compares_its_goldens, Nothing, "compares nothing of sums_a.json"),
]


@pytest.mark.parametrize(("check", "part", "said"), AGREEMENT)
def test_a_broken_agreement_is_refused(refused, check, part, said, tmp_path):
    (tmp_path / "sums_a.json").write_text("{}")
    assert said in refused(check, "agreement", part, goldens=[tmp_path / "sums_a.json"])
    check_agreement(Sums, [tmp_path / "sums_a.json"])


def test_an_agreement_may_know_its_goldens_by_what_they_hold(tmp_path):
    (tmp_path / "any.json").write_text('{"sums": 1}')
    check_agreement(Worded, [tmp_path / "any.json"])


def test_every_check_is_shown_to_fail():
    tried = {check for check, *_ in AGREEMENT} | {does_no_work_at_import}  # the last: test_imports.py
    assert tried == {*agreement.AGREEMENT}
