"""Corrupt pictures while training."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.data.tolerance import Tolerance
from vlzoo.errors import DataError


def reader(bad: set[int]):
    def make(index: int) -> int:
        if index in bad:
            raise DataError("the picture is damaged", where=f"/d/{index}.jpg")
        return index

    return make


def test_the_next_record_takes_its_place(tmp_path):
    tolerance = Tolerance(100, allowed=0.02, listing=str(tmp_path / "bad.jsonl"))
    make = reader({5, 99})
    assert [tolerance.take(i, make) for i in (4, 5, 99, 5)] == [4, 6, 0, 6]
    lines = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [line["where"] for line in lines] == ["/d/5.jpg", "/d/99.jpg"]  # each once


def test_above_the_share_it_stops():
    tolerance = Tolerance(100, allowed=0.02)
    make = reader({1, 2, 3})
    with pytest.raises(DataError, match=r"/d/3\.jpg: 3 of 100 records .* 2\.0%"):
        tolerance.take(1, make)
    with pytest.raises(DataError, match="1 of 100"):  # half of 1 % of 100 is less than one
        Tolerance(100, allowed=0.01, workers=2).take(1, make)


def test_nothing_readable():
    with pytest.raises(DataError, match="none of the 3 records"):
        Tolerance(3, allowed=1.0).take(0, reader({0, 1, 2}))


@settings(deadline=None)
@given(st.integers(1, 40), st.sets(st.integers(0, 39)))
def test_only_readable_records_are_given(size, bad):
    bad = {index for index in bad if index < size}
    tolerance = Tolerance(size, allowed=1.0)
    if len(bad) < size:
        assert not {tolerance.take(i, reader(bad)) for i in range(size)} & bad
    assert set(tolerance.met) <= bad
