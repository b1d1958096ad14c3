"""Faults: counted, listed, skipped up to a share, and above it a stop."""

from __future__ import annotations

import json

import pytest

from vlzoo.data.faults import KEPT, Faults
from vlzoo.errors import DataError


def test_share():
    faults = Faults("cc3m/train", allowed=0.01)
    faults.count("images", 99)
    faults.skip("unreadable picture", "/d/1.jpg")
    faults.check()  # 1 of 100 is 1 %
    faults.skip("unreadable picture", "/d/2.jpg")
    with pytest.raises(DataError, match=r"2 of 101 .*2\.0%.*allowed 1\.0%.*/d/1\.jpg"):
        faults.check()


def test_mended_records_do_not_stop():
    faults = Faults("x", allowed=0.0)
    faults.mend("box clipped", "f:1")
    faults.check()


def test_no_records_at_all():
    faults = Faults("x", allowed=0.5)
    faults.skip("empty caption", "f:1")
    with pytest.raises(DataError, match="1 of 1"):
        faults.check()


def test_list_is_bounded_but_counts_go_on(tmp_path):
    faults = Faults("x")
    for number in range(KEPT + 50):
        faults.skip("a", f"f:{number}")
    faults.skip("b", "f:last", "é" * 200)
    assert faults.skipped == {"a": KEPT + 50, "b": 1}
    assert len(faults.listed) == KEPT + 1  # the first of every kind is kept
    faults.write(tmp_path / "faults.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[-1]["where"] == "f:last" and len(rows[-1]["value"]) == 80
    assert [path.name for path in tmp_path.iterdir()] == ["faults.jsonl"]
    assert "10,050 a (skipped); first: f:0" in faults.lines()


def test_notes_and_merge():
    one, two = Faults("x"), Faults("x")
    one.skip("a", "f:1")
    one.count("images", 3)
    two.mend("b", "f:2")
    two.count("images", 4)
    again = Faults.from_notes("x", 0.01, json.loads(json.dumps(one.notes())))
    assert again == one
    again.merge(two)
    assert again.sizes == {"images": 7} and len(again.listed) == 2
