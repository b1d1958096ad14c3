"""Buckets by length: every row once, little padding, bounded."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.bench.retrieval.predict import FEW, WASTE, buckets


@given(lengths=st.lists(st.integers(1, 30), max_size=200), tokens=st.integers(1, 2000))
def test_every_row_stands_in_one_bucket(lengths, tokens):
    length_P = np.array(lengths, dtype=np.int64)
    found = list(buckets(length_P, tokens))
    assert sorted(row for bucket in found for row in bucket.tolist()) == list(range(len(lengths)))
    for bucket in found:
        padded = int(length_P[bucket].max()) * len(bucket)
        assert len(bucket) == 1 or padded <= tokens
        assert len(bucket) <= FEW or padded - int(length_P[bucket].sum()) <= WASTE * padded


def test_texts_of_one_length_share_a_bucket():
    assert [bucket.tolist() for bucket in buckets(np.full(50, 12), 10_000)] == [list(range(50))]
