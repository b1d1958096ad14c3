"""What changed between two looks at a value, number by number."""

from __future__ import annotations

import numpy as np
import torch

from vlzoo.testing.values import changed, equal, furthest, leaves, near, snapshot
from vlzoo.types import Tokens


def test_a_change_anywhere_inside_is_found_by_its_path():
    tokens = Tokens(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool), torch.zeros(2, 4))
    value = {"tokens": tokens, "more": [np.zeros(2), "x"]}
    before = snapshot(value)
    assert changed(before, value) == []
    tokens.x[1, 2, 3] = 1
    value["more"][0][1] = 5
    assert changed(before, value) == ["tokens.x", "more[0]"]
    assert changed(before, {"tokens": tokens}) == ["more[0]", "more[1]", "tokens.x"]


def test_what_is_no_container_is_its_own_leaf():
    assert list(leaves(1)) == [("", 1)]


def test_nothing_is_equal_by_accident():
    nan = torch.tensor([float("nan"), 1.0])
    assert equal(nan, nan.clone()) and not equal(nan, torch.tensor([2.0, 1.0]))
    assert not any(equal(nan, torch.tensor([value, 1.0])) for value in (0.0, 12345.0, float("inf")))
    assert equal(torch.tensor([True]), torch.tensor([True])) and not equal(torch.tensor([3]), torch.tensor([4]))
    assert not equal(torch.zeros(2), torch.zeros(2, dtype=torch.float64))
    assert not equal(torch.zeros(2), torch.zeros(1, 2)) and not equal(np.zeros(2), np.ones(2))


def test_near_minds_rounding_and_no_more():
    one = torch.ones(3)
    assert near(one, one + 5e-5) and not near(one, one + 5e-2) and not near(one, torch.ones(2))
    assert (furthest(one, one + 0.5), furthest(one, torch.ones(2))) == ("0.5 at most", "[3] against [2]")
