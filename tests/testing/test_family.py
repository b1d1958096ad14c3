"""Each check of model families refuses one that breaks it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vlzoo import BenchModel, ModelFamily
from vlzoo.errors import CheckpointError
from vlzoo.testing import (
    check_model_family,
    family,
)
from vlzoo.testing.case import is_described
from vlzoo.testing.imports import does_no_work_at_import


class Other:
    """No part of any kind."""


class Means(ModelFamily):
    """Models by a name."""

    name = "means"

    def check(self, place, task):
        if place == "gone":
            raise CheckpointError("there is none")

    def open(self, place, task, *, precision, device):
        model = BenchModel(place, "none", precision=precision, device=device)
        model.described = dict
        return model


class Careless(Means):
    """Finds nothing wrong."""

    def check(self, place, task):
        pass


class Empty(Means):
    """Opens nothing."""

    def open(self, place, task, *, precision, device):
        return SimpleNamespace(described=dict, weights="x")


class Gone(Means):
    """Raises what nobody catches."""

    def check(self, place, task):
        if place == "gone":
            raise KeyError(place)


FAMILY = [
    (is_described, type("Bare", (Means,), {"__doc__": None}), "has no docstring"),
    (family.opens_a_model, Other, "which is no ModelFamily"),
    (family.opens_a_model, Empty, "opens a SimpleNamespace"),
    (family.opens_a_model, Careless, "finds nothing wrong with 'gone'"),
    (family.opens_a_model, Gone, "answers 'gone' with KeyError"),
]


@pytest.mark.parametrize(("check", "part", "said"), FAMILY)
def test_a_broken_family_is_refused(refused, check, part, said):
    assert said in refused(check, "model_family", part, place="one", wrong="gone")


def test_a_good_family_passes():
    check_model_family(Means, "one", wrong="gone")


def test_every_check_is_shown_to_fail():
    tried = {check for check, *_ in FAMILY} | {does_no_work_at_import}  # the last: test_imports.py
    assert tried == {*family.FAMILY}
