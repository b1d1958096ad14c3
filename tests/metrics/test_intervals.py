import numpy as np
import pytest
from scipy.stats import bootstrap

from vlzoo.metrics.intervals import cluster_codes, interval


def test_agrees_with_scipy_where_every_sample_stands_alone():
    values = np.random.default_rng(0).random(200)
    theirs = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", random_state=1).confidence_interval
    low, high = interval(values, draws=4000)
    assert low == pytest.approx(theirs.low, abs=0.005)
    assert high == pytest.approx(theirs.high, abs=0.005)


def test_repeated_samples_of_a_cluster_tell_nothing_new():
    values = np.random.default_rng(0).random(100)
    once = interval(values)
    five_times = interval(np.repeat(values, 5), np.repeat(np.arange(100), 5))
    naive = interval(np.repeat(values, 5))
    assert five_times == pytest.approx(once)
    assert naive[1] - naive[0] < 0.6 * (once[1] - once[0])


def test_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(3)
    inside = 0
    for trial in range(300):
        level = rng.normal(size=40).repeat(3)
        low, high = interval(level + rng.normal(size=120), np.arange(40).repeat(3), draws=400, seed=trial)
        inside += low <= 0 <= high
    assert 0.90 <= inside / 300 <= 0.98


def test_same_seed_same_interval_and_one_cluster_has_none():
    values = np.arange(50.0)
    assert interval(values, seed=4) == interval(values, seed=4) != interval(values, seed=5)
    assert interval([1.0, 2.0], [7, 7]) is None


def test_clusters_of_unequal_size_average_over_samples():
    values, clusters = np.array([100.0] * 9 + [0.0]), np.array([0] * 9 + [1])
    low, high = interval(values, clusters)
    assert (low, high) == (0, 100)


def test_cluster_codes():
    assert cluster_codes(["b", "a", "b"]).tolist() == [0, 1, 0]
