"""Figures of retrieval with several right answers, against their definitions written out."""

from __future__ import annotations

import numpy as np
import pytest

from vlzoo.errors import DataError
from vlzoo.metrics.positives import rank_several


def by_sorting(scores, right):
    """mAP@R, R-Precision and recall@1 of one query, as ECCV Caption's paper defines them (section 3.3)."""
    hit = np.isin(np.argsort(-scores), right)[: len(right)]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return float((precision * hit).mean()), float(hit.mean()), bool(hit[0])


@pytest.mark.parametrize("most", [1, 4, 30])
def test_figures_are_those_of_the_sorted_gallery(most):
    rng = np.random.default_rng(most)
    scores = [rng.random(60) for _ in range(40)]
    right = [np.sort(rng.choice(60, rng.integers(1, most + 1), replace=False)) for _ in scores]
    found = rank_several(scores, right)
    expected = np.array([by_sorting(*each) for each in zip(scores, right, strict=True)])
    np.testing.assert_allclose(found.average_precision(), expected[:, 0], atol=1e-12)
    np.testing.assert_allclose(found.r_precision(), expected[:, 1], atol=1e-12)
    assert found.hits(1).tolist() == expected[:, 2].astype(bool).tolist()


def test_a_tie_with_a_wrong_answer_counts_against_the_query():
    (ranks,) = rank_several([np.array([1.0, 1.0, 1.0, 0.5])], [np.array([0, 2])]).ranks
    assert ranks.tolist() == [1, 2]  # the wrong one stands before both right ones


def test_what_was_not_scored_ranks_last():
    (ranks,) = rank_several([np.array([-np.inf, 0.1, -np.inf, 0.2])], [np.array([0, 3])]).ranks
    assert ranks.tolist() == [0, 3]


@pytest.mark.parametrize("case", [([np.array([np.nan])], [np.array([0])]), ([np.array([1.0])], [np.array([], int)])])
def test_what_has_no_rank_is_refused(case):
    with pytest.raises(DataError, match="without a right answer, or with scores that are NaN"):
        rank_several(*case)
