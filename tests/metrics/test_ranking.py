import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.errors import DataError
from vlzoo.metrics.ranking import rank_by_class


def literal(row, right):
    """First rank and AP of one query: wrong pictures go before right ones of the same score."""
    order = sorted(range(len(row)), key=lambda i: (-row[i], right[i]))
    seen, precisions = 0, []
    for place, one in enumerate(order, 1):
        if right[one]:
            seen += 1
            precisions.append(seen / place)
    first = next(place for place, one in enumerate(order) if right[one])
    return first, sum(precisions) / len(precisions)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), levels=st.integers(1, 8), same=st.booleans())
def test_equals_the_literal_reference_with_ties(seed, levels, same):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, size=(9, 9)).astype(float)
    queries = rng.integers(0, 3, size=9)
    gallery = queries if same else rng.integers(0, 3, size=9)
    try:
        found = rank_by_class(scores, queries, gallery, same_pictures=same)
    except DataError:
        return
    for query, first, precision in zip(found.query, found.first, found.average_precision, strict=True):
        keep = [i for i in range(9) if not (same and i == query)]
        expected = literal(scores[query, keep], gallery[keep] == queries[query])
        assert (first, precision) == (expected[0], pytest.approx(expected[1]))


def test_figures():
    found = rank_by_class([[3, 2, 1], [1, 2, 3]], ["a", "a"], ["a", "b", "a"])
    assert found.recall(1) == 100
    assert found.mean_average_precision == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert not found.tied.any()


def test_bad_input():
    with pytest.raises(DataError, match="no query"):
        rank_by_class([[1.0]], ["a"], ["b"])
    with pytest.raises(DataError, match="NaN"):
        rank_by_class([[np.nan]], ["a"], ["a"])
    with pytest.raises(DataError, match="2 gallery"):
        rank_by_class([[1.0]], ["a"], ["a", "b"])
