"""Figures with their intervals, where what they are made of says what these must be."""

import numpy as np
import pytest

from vlzoo.metrics.figures import Figures

FIGURES = Figures("zero-shot", "zero-shot/itc")


def test_the_mean_of_groups_that_are_all_right_is_100_in_every_draw():
    made = FIGURES.balanced("mean per class", [100.0] * 100, ["a"] * 90 + ["b"] * 10)
    assert made.value == pytest.approx(100) and made.interval == pytest.approx((100, 100))


def test_the_mean_of_groups_lies_within_percent_and_varies_by_the_small_one():
    """Nine of ten of b right: drawn ten at a time, 2.5 % of draws have 7 or less (binomial), that is (100 + 70) / 2."""
    right = [100.0] * 90 + [100.0] * 9 + [0.0]
    made = FIGURES.balanced("mean per class", right, ["a"] * 90 + ["b"] * 10)
    assert made.value == pytest.approx(95)
    low, high = made.interval
    assert 80 < low < 90 and 99 < high <= 100


def test_groups_of_one_size_have_the_interval_of_the_mean():
    rng = np.random.default_rng(2)
    right, clusters = 100.0 * (rng.random(400) < 0.6), np.arange(400) // 2
    groups = np.repeat(["a", "b"], 200)
    ours, theirs = FIGURES.balanced("mean", right, groups, clusters), FIGURES.mean("mean", right, clusters)
    assert ours.value == pytest.approx(theirs.value) and ours.clusters == theirs.clusters == 200
    assert ours.interval == pytest.approx(theirs.interval, abs=1.0)  # of 10 points; other draws


def test_a_difference_that_is_the_same_everywhere_has_no_width():
    """What two runs are compared by: one better by 100 points on every sample is so in every draw."""
    from vlzoo.metrics.pooled import pooled_difference

    groups = ["a"] * 30 + ["b"] * 3
    (ours,), (theirs,) = (FIGURES.balanced("mean", [value] * 33, groups).per_sample for value in (100.0, 0.0))
    found = pooled_difference(ours.values, theirs.values, ours.clusters, ours.formula)
    assert found.mean == pytest.approx(100) and found.interval == pytest.approx((100, 100))
