"""Figures of tests of composition; expected numbers are counted by hand or by brute force beside them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vlzoo.errors import DataError
from vlzoo.metrics.compositional import CHANCE, above_threshold, area, area_interval, choice, folds, matched


def test_a_choice_is_right_where_the_first_beats_all_others_and_a_tie_is_a_miss():
    found = choice([[2.0, 1.0], [1.0, 1.0], [0.5, 0.1, 0.7, 0.2]])
    assert found.right.tolist() == [True, False, False] and found.tied.tolist() == [False, True, False]
    assert found.chance.tolist() == [0.5, 0.5, 0.25]


@pytest.mark.parametrize("scores", [[1.0], [1.0, np.nan], [[1.0, 2.0]]])
def test_what_is_no_choice_is_refused(scores):
    with pytest.raises(DataError, match="two numbers or more"):
        choice([scores])


def test_winogrounds_scores():
    """Rows are pictures: of [[a, b], [c, d]] the right pairs are a and d."""
    scores = [
        [[0.9, 0.1], [0.2, 0.8]],  # all right
        [[0.5, 0.4], [0.6, 0.7]],  # each picture finds its text; text 0 scores higher with picture 1
        [[0.5, 0.6], [0.4, 0.7]],  # each text finds its picture; picture 0 prefers text 1
        [[0.5, 0.5], [0.1, 0.9]],  # a tie
        [[0.1, 0.9], [0.9, 0.1]],  # all wrong
    ]
    found = matched(scores)
    assert found.text.tolist() == [True, True, False, False, False]
    assert found.image.tolist() == [True, False, True, True, False]
    assert found.group.tolist() == [True, False, False, False, False]
    assert found.tied.tolist() == [False, False, False, True, False]


def test_chance_of_winoground_is_the_share_of_orders():
    orders = np.array(list(itertools.permutations(range(4)))).reshape(-1, 2, 2)
    found = matched(orders)
    shares = {name: 100.0 * getattr(found, name).mean() for name in CHANCE}
    assert shares == pytest.approx(CHANCE)


def test_who_reads_the_texts_alone_or_sees_the_pictures_alone_gets_nothing():
    by_text, by_picture = np.random.default_rng(0).random((2, 50, 2))
    blind, deaf = np.repeat(by_text[:, None], 2, 1), np.repeat(by_picture[:, :, None], 2, 2)
    for scores in (blind, deaf):
        assert not matched(scores).group.any()
    assert not matched(blind).image.any() and not matched(deaf).text.any()


@pytest.mark.parametrize("scores", [np.zeros((3, 2)), np.full((1, 2, 2), np.nan), np.zeros((1, 2, 3))])
def test_other_shapes_are_refused(scores):
    with pytest.raises(DataError, match="2 pictures, 2 texts"):
        matched(scores)


def test_the_area_is_that_of_all_pairs():
    rng = np.random.default_rng(1)
    scores, truth = rng.integers(0, 6, 40), rng.random(40) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    assert area(scores, truth) == pytest.approx(100.0 * np.mean(pairs))
    assert area([1, 2], [True, True]) is None and area_interval([1, 2], [True, True], [0, 1]) is None


def test_weights_of_the_area_are_repetitions():
    scores, truth, times = np.array([3, 1, 2, 2]), np.array([True, False, True, False]), [2, 1, 3, 1]
    assert area(scores, truth, times) == pytest.approx(area(np.repeat(scores, times), np.repeat(truth, times)))


def test_its_interval_holds_it_and_is_wider_where_pictures_repeat():
    rng = np.random.default_rng(2)
    truth = rng.random(200) < 0.5
    scores = truth + rng.normal(0, 1, 200)
    alone = area_interval(scores, truth, np.arange(200))
    assert alone is not None and alone[0] < area(scores, truth) < alone[1]
    copies = area_interval(np.repeat(scores, 4), np.repeat(truth, 4), np.repeat(np.arange(200), 4))
    assert copies == pytest.approx(alone, abs=0.5)  # 800 statements of 200 pictures know no more than 200
    assert area_interval([1.0, 2.0], [True, False], [0, 0]) is None  # one picture


def test_a_threshold_is_fitted_on_other_pictures():
    """Two folds: each would be told all right by its own threshold, and all wrong by the other's."""
    scores, truth = [1.0, 2.0, 11.0, 12.0], [False, True, False, True]
    said, thresholds = above_threshold(scores, truth, [0, 0, 1, 1])
    assert thresholds.tolist() == [11.5, 1.5] and said.tolist() == [False, False, True, True]
    assert above_threshold([-1.0, 1.0], [False, True], [0, 0])[1].tolist() == [0.0]  # there are no others


def test_a_threshold_calls_all_true_or_all_false_where_that_is_best():
    _, thresholds = above_threshold([1.0, 2.0, 0.0], [False, False, True], [0, 0, 1])
    assert thresholds[1] > 2.0 and thresholds[0] < 0.0


def test_folds_hold_whole_clusters():
    assert folds([0, 1, 2, 5, 6, 0]).tolist() == [0, 1, 2, 0, 1, 0]
