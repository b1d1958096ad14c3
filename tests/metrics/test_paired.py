"""Paired statistics against scipy's own, against arithmetic by hand, and under a null that is simulated."""

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, kstest, permutation_test

from vlzoo.metrics.intervals import interval
from vlzoo.metrics.paired import Part, difference, estimate, holm, mcnemar, sign_flips


def part(values, clusters, count):
    return Part.of([np.asarray(value, float) for value in values], np.asarray(clusters), count)


def test_means_and_differences_by_hand():
    # Two seeds; three queries of two pictures.
    row = part([[1, 1, 0], [1, 0, 0]], [0, 0, 1], 2)
    base = part([[0, 1, 0], [0, 0, 0]], [0, 0, 1], 2)
    found = difference([row], [base])
    assert estimate([row]).mean == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert found.mean == pytest.approx(1 / 3)
    assert found.seeds == pytest.approx((1 / 3, 1 / 3))
    # Drawn pictures are (0,0), (0,1), (1,0), (1,1): differences 1/2, 1/3, 1/3, 0.
    assert found.interval == pytest.approx((0, 1 / 2))
    assert found.p_value == 1.0  # one picture differs: either sign is as far from zero


def test_two_parts_count_alike():
    text, image = part([[1, 0]], [0, 1], 2), part([[1, 1, 1, 1]], [0, 0, 1, 1], 2)
    assert estimate([text, image]).mean == pytest.approx((0.5 + 1.0) / 2)


def test_one_seed_gives_the_cluster_bootstrap_of_the_metrics():
    rng = np.random.default_rng(5)
    values, clusters = rng.random(900), np.repeat(np.arange(300), 3)
    found = estimate([part([values], clusters, 300)]).interval
    expected = interval(values, clusters, draws=4000)
    width = expected[1] - expected[0]
    # Percentiles of 2,000 draws waver by a few per cent of the width.
    assert found == pytest.approx(expected, abs=0.15 * width)


def test_seeds_that_differ_widen_the_interval():
    rng = np.random.default_rng(6)
    noise, clusters = rng.random(400), np.arange(400)
    alike = estimate([part([noise] * 3, clusters, 400)]).interval
    apart = estimate([part([noise - 1, noise, noise + 1], clusters, 400)]).interval
    assert apart[1] - apart[0] > 5 * (alike[1] - alike[0])


def test_a_clear_difference_has_a_small_p_and_none_has_one():
    rng = np.random.default_rng(7)
    base, clusters = rng.random(200), np.arange(200)
    one, other = part([base + 0.5], clusters, 200), part([base], clusters, 200)
    assert difference([one], [other]).p_value < 0.001
    same = difference([other], [other])
    assert (same.mean, same.interval, same.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_other_samples_are_refused():
    with pytest.raises(ValueError, match="same test samples"):
        difference([part([[1, 0]], [0, 1], 2)], [part([[1, 0]], [0, 0], 2)])


def alone(a, b, **options):
    """The difference of two systems whose samples each stand alone."""
    every = np.arange(len(a))
    return difference([part([a], every, len(a))], [part([b], every, len(b))], **options)


def test_the_interval_of_a_difference_is_scipys_where_every_sample_stands_alone():
    rng = np.random.default_rng(0)
    a, b = rng.random(150), rng.random(150)
    theirs = bootstrap((a - b,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert alone(a, b, draws=4000).interval == pytest.approx((theirs.low, theirs.high), abs=0.008)


def test_sign_flips_are_scipys_permutation_test():
    rng = np.random.default_rng(1)
    for size in (6, 9):
        a, b = rng.normal(0.4, 1, size), rng.normal(size=size)
        exact = permutation_test((a, b), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf)
        # Of 40,000 patterns a share wavers by 0.0025 (one standard deviation of a half).
        assert sign_flips((a - b) / size, 40_000) == pytest.approx(exact.pvalue, abs=0.01)


def test_clusters_are_flipped_whole():
    # Three pictures of 2, 1 and 2 captions, all in favour: 2 of 8 sign patterns are as extreme, whatever the captions.
    clusters = np.array([0, 0, 1, 2, 2])
    found = difference([part([[1, 1, 1, 1, 0]], clusters, 3)], [part([[0, 0, 0, 0, 0]], clusters, 3)], flips=20_000)
    assert found.p_value == pytest.approx(0.25, abs=0.02)
    assert found.mean == pytest.approx(4 / 5)


def test_mcnemar_by_hand_and_by_scipy():
    # 3 to 0 of discordant pairs: 2 / 2^3.
    assert mcnemar(np.array([1, 1, 1, 0, 1], bool), np.array([0, 0, 0, 0, 1], bool)) == 0.25
    assert mcnemar(np.ones(4, bool), np.ones(4, bool)) == 1.0
    rng = np.random.default_rng(2)
    a, b = rng.random(60) < 0.7, rng.random(60) < 0.5
    better, worse = int((a & ~b).sum()), int((b & ~a).sum())
    p_value = mcnemar(a, b)
    assert p_value == pytest.approx(binomtest(better, better + worse).pvalue)
    # It is the test of flipped signs, of which 40,000 patterns are drawn here.
    assert sign_flips(a.astype(float) - b, 40_000) == pytest.approx(p_value, abs=0.01)


def test_holm_by_hand():
    # Ordered 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1, none below the one before, none above 1.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("clustered", [False, True])
def test_without_a_difference_p_values_are_uniform(clustered):
    """400 pairs of systems that are equally good; captions of a picture share its difficulty and its luck."""
    rng = np.random.default_rng(3)
    pictures, captions = (30, 4) if clustered else (80, 1)
    clusters = np.repeat(np.arange(pictures), captions)
    found = []
    for trial in range(400):
        own = rng.normal(size=(2, pictures)).repeat(captions, axis=1)
        a, b = own + rng.normal(size=(2, pictures * captions))
        gap = difference(
            [part([a], clusters, pictures)], [part([b], clusters, pictures)], draws=2, flips=400, seed=trial
        )
        found.append(gap.p_value)
    # Kolmogorov and Smirnov's test rejects true uniformity once in 1,000 such simulations; this seed is not that one.
    assert kstest(found, "uniform").pvalue > 0.001
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.085


def test_captions_that_are_taken_as_independent_make_too_much_of_a_difference():
    """What the clusters are for: the same simulation without them calls chance a finding far more often than 5 %."""
    rng = np.random.default_rng(4)
    found = []
    for trial in range(200):
        own = rng.normal(size=(2, 30)).repeat(4, axis=1)
        a, b = own + 0.3 * rng.normal(size=(2, 120))
        found.append(alone(a, b, draws=2, flips=400, seed=trial).p_value)
    assert np.mean(np.array(found) < 0.05) > 0.2


def test_same_seed_same_numbers():
    rng = np.random.default_rng(5)
    a, b = rng.random((2, 50))
    assert alone(a, b, seed=4) == alone(a, b, seed=4) != alone(a, b, seed=5)


def test_clusters_that_are_alike_are_drawn_together_with_the_same_outcome(monkeypatch):
    """Hits of 1 to 3 captions a picture, once picture by picture and once kind by kind: equal but for the draws."""
    rng = np.random.default_rng(8)
    clusters = np.repeat(np.arange(400), rng.integers(1, 4, 400))
    a, b = 100.0 * (rng.random((2, len(clusters))) < [[0.55], [0.5]])
    parts = [[part([each], clusters, 400)] for each in (a, b)]
    plain = difference(*parts, draws=4000, flips=20_000)
    monkeypatch.setattr("vlzoo.metrics.paired.MANY", 100)
    together = difference(*parts, draws=4000, flips=20_000)
    width = plain.interval[1] - plain.interval[0]
    assert together.mean == plain.mean
    assert together.interval == pytest.approx(plain.interval, abs=0.1 * width)
    assert together.p_value == pytest.approx(plain.p_value, abs=0.02)
    assert together != plain  # other draws: the other way was taken


def test_values_that_are_all_different_are_not_drawn_together(monkeypatch):
    rng = np.random.default_rng(9)
    a, b = rng.random((2, 300))
    plain = alone(a, b)
    monkeypatch.setattr("vlzoo.metrics.paired.MANY", 100)
    assert alone(a, b).p_value == plain.p_value
    assert alone(a, b).interval == pytest.approx(plain.interval, abs=0.02)
