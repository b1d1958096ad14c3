from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare
from vlzoo_vlmixer.sampling import ROOM, draw

WEIGHTS = np.array([0.9, 0.1, 0.5, 0.0, 0.3, 0.7])


def pairs_expected(weight):
    """Of two draws without replacement, each ordered pair's probability: w_i / W * w_j / (W - w_i)."""
    total = weight.sum()
    return {
        (i, j): weight[i] / total * weight[j] / (total - weight[i])
        for i in range(len(weight))
        for j in range(len(weight))
        if i != j and weight[i] * weight[j] > 0
    }


@pytest.mark.parametrize("size", [6, 6 * ROOM])
def test_two_draws_follow_the_formula_by_racing_and_by_drawing_again(size):
    """Few patches race; many are drawn and drawn again: both are the same law."""
    weight = np.concatenate([WEIGHTS, np.zeros(size - 6)]) if size > 6 else WEIGHTS
    rng = np.random.default_rng(5)
    counts = dict.fromkeys(pairs_expected(weight), 0)
    for _ in range(40_000):
        counts[tuple(draw(np.cumsum(weight), 2, rng).tolist())] += 1
    expected = pairs_expected(weight)
    assert chisquare(list(counts.values()), [40_000 * expected[pair] for pair in counts]).pvalue > 0.01


def test_nothing_is_drawn_twice_and_nothing_without_weight_before_all_else():
    rng = np.random.default_rng(0)
    skewed = np.cumsum(np.concatenate([[1e9], np.full(199, 1e-6), np.zeros(50)]))
    for _ in range(20):
        drawn = draw(skewed, 15, rng)
        assert len(set(drawn.tolist())) == 15 and drawn.max() < 200 and 0 in drawn


def test_no_weight_at_all_is_drawn_evenly():
    rng = np.random.default_rng(0)
    counts = np.bincount([int(draw(np.zeros(5), 1, rng)[0]) for _ in range(5000)], minlength=5)
    assert chisquare(counts).pvalue > 0.01


def test_all_where_there_are_no_more():
    """Each once, in the order drawn: who comes first is drawn in proportion to the weights."""
    assert sorted(draw(np.cumsum(WEIGHTS), 6, np.random.default_rng(0)).tolist()) == [0, 1, 2, 3, 4, 5]
    rng = np.random.default_rng(1)
    first = np.bincount([draw(np.cumsum(WEIGHTS), 6, rng)[0] for _ in range(20_000)], minlength=6)
    expected = 20_000 * np.asarray(WEIGHTS) / np.sum(WEIGHTS)
    drawn = expected > 0
    assert not first[~drawn].any() and chisquare(first[drawn], expected[drawn]).pvalue > 1e-3
    assert draw(np.cumsum([1.0]), 15, np.random.default_rng(0)).tolist() == [0]


def test_the_same_generator_draws_the_same():
    one, two = (draw(np.cumsum(WEIGHTS), 3, np.random.default_rng(9)) for _ in range(2))
    assert one.tolist() == two.tolist()
