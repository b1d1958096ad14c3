"""Figures of sums: their intervals and tests against those of means, where a figure of sums is one."""

import numpy as np
import pytest

from vlzoo.metrics.intervals import interval
from vlzoo.metrics.paired import Part, difference, estimate
from vlzoo.metrics.pooled import bleu, pooled_difference, pooled_estimate, pooled_interval, ratio

RNG = np.random.default_rng(5)
RIGHT, WORSE, PICTURES = RNG.random(200) < 0.6, RNG.random(200) < 0.5, np.arange(200) // 4


def counts(right):
    return np.stack([right, np.ones(len(right))], axis=1)


def test_a_mean_as_a_ratio_has_the_interval_of_the_mean():
    ours = pooled_interval(counts(RIGHT), PICTURES, "ratio", draws=6000)
    theirs = interval(100.0 * RIGHT, PICTURES, draws=6000, seed=1)
    assert ours == pytest.approx(theirs, abs=0.5)  # of 15 points; other draws


def test_a_difference_of_means_as_ratios_is_that_of_the_means():
    ours = pooled_difference(counts(RIGHT), counts(WORSE), PICTURES, "ratio", swaps=6000)
    parts = [[Part.of([100.0 * right], PICTURES, 50)] for right in (RIGHT, WORSE)]
    theirs = difference(*parts, flips=6000)
    assert ours.mean == pytest.approx(theirs.mean)
    assert ours.interval == pytest.approx(theirs.interval, abs=1.0)
    assert ours.p_value == pytest.approx(theirs.p_value, abs=0.01)


def test_means_of_several_seeds_as_ratios_are_those_of_the_means():
    ours = pooled_estimate([counts(RIGHT), counts(WORSE)], PICTURES, "ratio", draws=6000)
    theirs = estimate([Part.of([100.0 * RIGHT, 100.0 * WORSE], PICTURES, 50)], draws=6000)
    assert (ours.mean, ours.seeds) == (pytest.approx(theirs.mean), pytest.approx(theirs.seeds))
    assert ours.interval == pytest.approx(theirs.interval, abs=0.7)  # of 20 points; other draws


def test_of_one_seed_the_estimate_is_the_figure_with_its_interval():
    found = pooled_estimate([counts(RIGHT)], PICTURES, "ratio")
    assert found.mean == pytest.approx(100 * RIGHT.mean())
    assert found.interval == pytest.approx(pooled_interval(counts(RIGHT), PICTURES, "ratio"))
    assert pooled_estimate([[[1, 2]]], [0], "ratio").interval is None


def test_seeds_that_state_other_numbers_of_things_count_the_same():
    # 1 of 2 and 9 of 9: the mean of 50 % and 100 %, not 10 of 11.
    assert pooled_estimate([[[1, 2]], [[9, 9]]], [0], "ratio").mean == pytest.approx(75.0)


def test_the_ratio_of_sums_is_not_the_mean_of_ratios():
    # 1 of 1 and 0 of 9: a tenth of the words, though half of the mean picture's.
    assert ratio(np.array([[1.0, 1.0], [0.0, 9.0]]).sum(0)) == pytest.approx(10.0)
    assert pooled_interval([[1, 1], [0, 9]], [0, 1], "ratio") == pytest.approx((0, 100))


def test_bleu_of_sums_by_hand():
    # Papineni et al. 2002: 3 of 4 words, 1 of 2 pairs; 4 words against 8: exp(1 - 8 / 4) (3/4 1/2)^(1/2).
    assert bleu(np.array([3.0, 1, 4, 2, 4, 8])) == pytest.approx(100 * np.exp(-1) * np.sqrt(3 / 8))
    assert bleu(np.array([3.0, 4, 4, 3])) == pytest.approx(75.0)
    assert bleu(np.array([0.0, 0, 0, 5])) == 0.0


def test_equal_systems_do_not_differ_and_one_cluster_has_no_interval():
    same = pooled_difference(counts(RIGHT), counts(RIGHT), PICTURES, "ratio")
    assert (same.mean, same.interval, same.p_value) == (0.0, (0.0, 0.0), 1.0)
    assert pooled_interval([[1, 2], [2, 2]], [3, 3], "ratio") is None


def test_the_least_p_value_is_that_of_all_swaps():
    better, worse = np.tile([9.0, 10], (30, 1)), np.tile([1.0, 10], (30, 1))
    found = pooled_difference(better, worse, np.arange(30), "ratio", swaps=999)
    assert found.mean == pytest.approx(80.0)
    assert found.p_value == pytest.approx(1 / 1000)


def test_other_counts_are_no_pair():
    with pytest.raises(ValueError, match="the same counts"):
        pooled_difference(counts(RIGHT), counts(WORSE)[:, :1], PICTURES, "ratio")
