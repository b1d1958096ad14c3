"""Differences between our values and recorded ones."""

from __future__ import annotations

import math

import pytest
import torch

from vlzoo.agree.golden import alpha_of, gap, relative_gap, worst
from vlzoo.agree.recorded import Recorded, shares
from vlzoo.errors import DataError


def test_another_shape_never_agrees():
    assert gap(torch.zeros(2), torch.zeros(2, 1)) == math.inf
    assert relative_gap(torch.zeros(2), torch.zeros(3)) == math.inf


def test_gradients_are_compared_relatively():
    """|a - b| / (0.1 + |b|) by hand: 0.5 / 10.1 and 1e-5 / 0.1."""
    assert relative_gap(torch.tensor([10.5]), torch.tensor([10.0])) == pytest.approx(0.5 / 10.1)
    assert relative_gap(torch.tensor([1e-5]), torch.tensor([0.0])) == pytest.approx(1e-4)


def test_one_nan_is_worse_than_all_numbers():
    check = worst("name", [0.0, math.nan, 5.0], 10.0)
    assert math.isnan(check.difference)
    assert not check.ok


def test_the_weight_of_soft_targets_is_read_from_the_case():
    assert [alpha_of(case) for case in ("alpha0.4", "distill_alpha0", "nodistill")] == [0.4, 0.0, 0.0]


def test_a_draw_that_was_not_recorded_is_an_error():
    with pytest.raises(DataError, match="image-for-text"):
        Recorded().choose("image-for-text", torch.arange(2), torch.ones(2, 2))


def test_official_weights_become_chances():
    given = torch.tensor([[0.0, 0.2, 0.2], [0.1, 0.0, 0.3]])
    assert torch.allclose(shares(given), torch.tensor([[0.0, 0.5, 0.5], [0.25, 0.0, 0.75]]))
