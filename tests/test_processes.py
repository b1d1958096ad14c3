"""Shares of a batch: whole, in order, as even as can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.processes import Share, here


@given(count=st.integers(0, 50), of=st.integers(1, 9))
def test_shares_are_the_whole_in_order(count, of):
    shares = [Share(number, of) for number in range(of)]
    assert [place for share in shares for place in range(count)[share.cut(count)]] == list(range(count))
    sizes = [share.size(count) for share in shares]
    assert sum(sizes) == count and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, Share()),
        ({"WORLD_SIZE": "4", "RANK": "2", "MASTER_ADDR": "localhost"}, Share(2, 4)),
        ({"WORLD_SIZE": "4", "RANK": "2"}, Share()),  # somebody else's words: nobody says where to meet
        ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "localhost"}, Share()),
        ({"WORLD_SIZE": "x", "RANK": "0", "MASTER_ADDR": "localhost"}, Share()),
    ],
)
def test_which_process_this_is(monkeypatch, said, expected):
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert here() == expected
