"""Permutations without a table."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.data.permute import Permutation


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 700), st.integers())
def test_every_entry_comes_once(size, seed):
    permuted = Permutation(size, seed)
    assert sorted(permuted[i] for i in range(size)) == list(range(size))


def test_seeds_differ_and_the_same_seed_agrees():
    one, two = Permutation(1000, 1), Permutation(1000, 2)
    order = [one[i] for i in range(1000)]
    assert order == [Permutation(1000, 1)[i] for i in range(1000)]
    # A random permutation leaves one entry in place on average (Montmort), so two seeds agree about once.
    assert sum(a == two[i] for i, a in enumerate(order)) < 10
    assert sum(a == i for i, a in enumerate(order)) < 10


def test_bounds():
    for wrong in (-1, 5):
        with pytest.raises(IndexError):
            Permutation(5, 0)[wrong]
    with pytest.raises(ValueError, match="0 entries"):
        Permutation(0, 0)
    big = Permutation(10**12, 0)
    assert 0 <= big[10**12 - 1] < 10**12
