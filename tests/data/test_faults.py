"""Faults: counted, listed, skipped up to a share, and above it a stop."""

from __future__ import annotations

import json

import pytest

from vlzoo.data.faults import KEPT, Faults, share
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


def test_half_characters_can_be_written_and_printed(tmp_path):
    faults = Faults("x")
    faults.skip("a", "caf\udce9.jpg", "\ud83d")
    faults.write(tmp_path / "faults.jsonl")
    assert json.loads((tmp_path / "faults.jsonl").read_text(encoding="utf-8"))["where"] == "caf\\udce9.jpg"
    assert str(faults.listed[0]) == "caf\\udce9.jpg: a: \\ud83d"


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1, float("inf"), True, "0.5", None, [0.5]])
def test_what_is_no_share(value):
    with pytest.raises(DataError, match=r"x: `allowed_faults` is .*, expected a share from 0 to 1"):
        share(value, "x")
    assert (share(0, "x"), share(1, "x"), share(0.25, "x")) == (0, 1, 0.25)


def test_nothing_left_names_files_and_counts():
    faults = Faults("cc3m/train")
    faults.count("lines", 3)
    faults.skip("empty caption", "list.tsv:2")
    error = faults.nothing_left([f"{n}.tsv" for n in range(5)], "`skip` lists 2 pictures")
    assert error.where == "0.tsv, 1.tsv, 2.tsv and 2 more"
    said = "3 lines; 1 empty caption (skipped); first: list.tsv:2; `skip` lists 2 pictures"
    assert error.what == f"cc3m/train holds no samples ({said})"
