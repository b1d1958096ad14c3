"""The words of errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.errors import Problem, RecipeError, VlzooError, did_you_mean, nearest


def test_an_error_says_where_what_and_the_remedy():
    assert str(VlzooError("7 is too much", where="a.yaml:3", fix="take 6")) == "a.yaml:3: 7 is too much\n  -> take 6"
    assert str(VlzooError("7 is too much")) == "7 is too much"


def test_a_recipe_error_holds_every_mistake_and_counts_them():
    problems = [Problem("a.yaml:1", "train.lr", "'x' is no float"), Problem("a.yaml:2", "", "odd", "mend it")]
    assert str(RecipeError(problems, recipe="a.yaml")) == (
        "a.yaml:1: train.lr: 'x' is no float\na.yaml:2: odd\n  -> mend it\na.yaml: 2 mistakes"
    )
    assert str(RecipeError(problems[:1], recipe="a.yaml")).endswith("a.yaml: 1 mistake")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("ITC", "itc"), ("cross-attention", "cross_attention"), ("crossattention", "cross_attention"), ("zzz", None)],
)
def test_nearest_ignores_case_and_the_joining_sign(written, meant):
    assert nearest(written, ["itc", "itm", "cross_attention"]) == meant


def test_a_long_list_is_cut():
    text = did_you_mean("q", [f"part-{n:02}" for n in range(40)])
    assert "part-11, ... (40 in all)" in text
    assert did_you_mean("q", []) == "(known: none)"


@given(st.text(max_size=20), st.lists(st.text(max_size=8), max_size=20))
def test_a_suggestion_is_always_one_of_the_known(name, known):
    assert nearest(name, known) in (None, *known)
