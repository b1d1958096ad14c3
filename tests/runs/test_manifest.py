"""What a run notes of its plugins, and what is said where one is missing."""

from __future__ import annotations

import pytest

from vlzoo.config.check import load
from vlzoo.errors import Problem, RecipeError
from vlzoo.machine import processor
from vlzoo.runs.manifest import absent, explained, manifest, suppliers


def test_strangers_parts_are_noted_with_their_plugin():
    noted = suppliers(load("softmaskpp-tiny"))
    assert noted["objective/soft_itm"] == noted["augmentation/mmda"] == "vlzoo-softmask 0.1.0"
    assert noted["token_mask/gradcam"] == "vlzoo-gradcam 0.1.0"
    assert not any(owner.startswith("vlzoo 0") for owner in noted.values())
    assert suppliers(load("albef-tiny")) == {}
    about = manifest(load("softmaskpp-tiny"))
    assert about["parts"] == noted and about["processor"] == processor()


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (
            {"parts": {"objective/mine": "vlzoo-mine 2.1"}},
            "the run was trained with vlzoo-mine 2.1: pip install vlzoo-mine==2.1",
        ),
        ({"parts": {"objective/mine": "mine.py (file)"}}, "the run was trained with mine.py (file): --plugin mine.py"),
        # A run of before, which noted its plugins and not their parts.
        (
            {"plugins": {"vlzoo": "vlzoo 0.1.0", "mine": "vlzoo-mine 2.1"}},
            "the run was trained with vlzoo-mine 2.1: pip install vlzoo-mine==2.1",
        ),
        ({}, ""),
    ],
)
def test_who_is_missing_is_said(about, said):
    assert absent("objective", "mine", about) == said


def test_only_missing_parts_are_explained():
    tree = load("albef-tiny").tree
    tree.data["objectives"]["mine"] = {}
    problems = [Problem("r.yaml:1", "objectives.mine", "no objective called 'mine'", "(known ...)")]
    problems += [Problem("r.yaml:2", "train.lr", "-1 does not fit", "other")]
    about = {"parts": {"objective/mine": "vlzoo-mine 2.1"}}
    made = explained(RecipeError(problems, recipe="r.yaml"), tree, about)
    assert "pip install vlzoo-mine==2.1" in str(made.problems[0]) and made.problems[1] == problems[1]
