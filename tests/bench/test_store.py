"""Predictions on disk: whole lines, kept across kills, under a key of everything they depend on."""

from __future__ import annotations

import errno
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.bench.store import Store, key_of
from vlzoo.errors import PredictionError

ROWS = [{"name": f"q{n}}}", "answer": 'yes "é"', "score": -0.5 * n} for n in range(4)]


def test_what_is_appended_is_read_by_name(tmp_path):
    store = Store(tmp_path / "key", {"task": "vqa"})
    store.append(ROWS[:2])
    store.append(ROWS[2:])
    assert store.rows() == {row["name"]: row for row in ROWS}
    assert Store(tmp_path / "key", {}).rows() == store.rows()
    assert len(store.file.read_text().splitlines()) == 4


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400))
def test_wherever_a_kill_cuts_the_whole_lines_stay(tmp_path_factory, cut):
    store = Store(tmp_path_factory.mktemp("cut"), {})
    store.append(ROWS)
    text = store.file.read_bytes()[:cut]
    store.file.write_bytes(text)
    complete = [json.loads(line) for line in text.decode().split("\n")[:-1]]
    rest = text.decode().split("\n")[-1]
    with suppress(ValueError):  # a last line that lacks nothing but its newline counts
        complete += [json.loads(rest)]
    assert list(store.rows().values()) == complete
    store.append([{"name": "later"}])
    assert list(store.rows().values()) == [*complete, {"name": "later"}]


def test_processes_write_files_of_their_own(tmp_path):
    for shard in (0, 1):
        Store(tmp_path, {}, shard).append([ROWS[shard]])
    assert sorted(file.name for file in tmp_path.glob("*.jsonl")) == ["shard-000.jsonl", "shard-001.jsonl"]
    assert list(Store(tmp_path, {}).rows()) == [ROWS[0]["name"], ROWS[1]["name"]]


def test_all_are_joined_in_the_order_of_the_data(tmp_path):
    """The bytes that one process would have left; what is of no sample stays, and scoring names it."""
    alone = Store(tmp_path / "alone", {})
    alone.append([*ROWS, {"name": "strange"}])
    for shard, rows in enumerate(([ROWS[1], {"name": "strange"}], [ROWS[3]], [ROWS[0], ROWS[2]])):
        Store(tmp_path / "shared", {}, shard).append(rows)
    shared = Store(tmp_path / "shared", {})
    assert list(shared.join(row["name"] for row in ROWS).values()) == [*ROWS, {"name": "strange"}]
    assert [file.name for file in shared.folder.glob("*.jsonl")] == ["shard-000.jsonl"]
    assert shared.file.read_bytes() == alone.file.read_bytes()
    before = shared.file.stat().st_mtime_ns
    shared.join([row["name"] for row in ROWS])
    assert shared.file.stat().st_mtime_ns == before


def test_a_full_disk_is_one_message(tmp_path, monkeypatch):
    store = Store(tmp_path, {})

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(store.file), "open", full)
    with pytest.raises(PredictionError, match="no room on the disk for predictions"):
        store.append(ROWS)


def test_the_key_changes_with_whatever_a_prediction_depends_on():
    about = {"weights": "a", "recipe": {"joint": 8}, "data": "x", "settings": {"k": 4}}
    first = key_of(**about)
    assert key_of(**dict(reversed(about.items()))) == first and len(first) == 16
    for name, other in (("weights", "b"), ("recipe", {"joint": 4}), ("data", "y"), ("settings", {"k": 5})):
        assert key_of(**{**about, name: other}) != first
