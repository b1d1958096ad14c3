"""Rows in Arrow, in memory and mapped."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.data import store
from vlzoo.errors import DataError

COLUMNS = {"name": "str", "number": "int", "texts": "strs"}


def made(count: int) -> list[dict]:
    return [{"name": f"n{i}", "number": None if i % 3 else i, "texts": ["a"] * (i % 2)} for i in range(count)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40), st.integers(1, 7))
def test_rows_come_back(count, batch):
    before, store.BATCH = store.BATCH, batch
    try:
        rows = store.in_memory(made(count), COLUMNS)
    finally:
        store.BATCH = before
    assert len(rows) == count and list(rows) == made(count)
    assert [rows[i] for i in range(count)] == made(count)
    assert rows[-3:] == made(count)[-3:]
    with pytest.raises(IndexError):
        rows[count]


def test_mapped_is_whole_or_not_at_all(tmp_path):
    file = tmp_path / "cache" / "x.arrow"

    def failing():
        yield made(1)[0]
        raise DataError("broken line")

    with pytest.raises(DataError):
        store.mapped(failing(), COLUMNS, file, {})
    assert list(file.parent.iterdir()) == []
    assert store.reopened(file) is None
    store.mapped(iter(made(20)), COLUMNS, file, {"sizes": 20})
    rows, notes = store.reopened(file)
    assert list(rows) == made(20) and notes == {"sizes": 20}
    assert sorted(path.name for path in file.parent.iterdir()) == ["x.arrow", "x.arrow.json"]


def test_a_damaged_cache_is_named(tmp_path):
    file = tmp_path / "x.arrow"
    store.mapped(iter(made(20)), COLUMNS, file, {})
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(DataError, match=r"x\.arrow"):
        store.reopened(file)


def test_another_file_is_another_table(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text("one")
    first = store.cache_file(tmp_path, "cc3m/train", [file], "")
    assert store.cache_file(tmp_path, "cc3m/train", [file], "") == first
    assert store.cache_file(tmp_path, "cc3m/train", [file], "x") != first
    os.utime(file, ns=(1, 1))
    assert store.cache_file(tmp_path, "cc3m/train", [file], "") != first


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", 3), ("name", float("nan")), ("name", ["a"]), ("name", "half \ud800"),
        ("number", 2**63), ("number", "7"), ("texts", "abc"), ("texts", [3]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kept", ["in memory", "mapped"])
def test_what_no_column_holds_is_named_with_column_file_and_row(tmp_path, monkeypatch, column, value, kept):
    monkeypatch.setattr(store, "BATCH", 4)
    rows = made(9)
    rows[6][column] = value
    keep = {
        "mapped": lambda: store.mapped(iter(rows), COLUMNS, tmp_path / "x.arrow", {}, "questions.json"),
        "in memory": lambda: store.in_memory(rows, COLUMNS, "questions.json"),
    }[kept]
    with pytest.raises(DataError) as caught:
        keep()
    named = "" if column == "name" else " ('n6')"
    assert str(caught.value).startswith(f"questions.json: {column!r} of row 6{named} is {value!r}, which is no ")
    assert list(tmp_path.iterdir()) == []
