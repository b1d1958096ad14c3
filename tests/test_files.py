"""Files and folders written whole."""

from __future__ import annotations

import doctest
import hashlib
from pathlib import Path

import pytest

from vlzoo import files
from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.files import check_place, new_folder, read_object, replacing, sha256_of, write_text


def test_the_examples_work(tmp_path):
    found = doctest.testmod(files, extraglobs={"folder": tmp_path})
    assert (found.failed, found.attempted) == (0, 7)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    file = tmp_path / "deep" / "a.txt"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "new \ud800")
    assert file.read_text() == "old"
    assert [each.name for each in file.parent.iterdir()] == ["a.txt"]


def test_a_file_is_not_seen_before_it_is_whole(tmp_path):
    with replacing(tmp_path / "a.bin") as fresh:
        fresh.write_bytes(b"half")
        assert not (tmp_path / "a.bin").exists()
        fresh.write_bytes(b"whole")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.bin", b"whole")]


def test_processes_of_one_number_on_two_machines_do_not_meet(tmp_path, monkeypatch):
    with replacing(tmp_path / "key.json") as here:
        here.write_text("here")
        monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
        with replacing(tmp_path / "key.json") as there:
            there.write_text("there")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("key.json", "here")]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(UnicodeEncodeError), new_folder(tmp_path / "made", flush=True) as fresh:
        write_text(fresh / "a.txt", "half \ud800")
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "made", flush=True) as fresh:
        (fresh / "deep").mkdir()
        (fresh / "deep" / "a.txt").write_text("whole")
        assert not (tmp_path / "made").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["made"]
    assert (tmp_path / "made" / "deep" / "a.txt").read_text() == "whole"


def test_only_who_asks_for_it_replaces_what_is_there(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "old.txt").write_text("old")
    with pytest.raises(OSError), new_folder(tmp_path / "made") as fresh:
        (fresh / "new.txt").write_text("new")
    assert [each.name for each in (tmp_path / "made").iterdir()] == ["old.txt"]
    with new_folder(tmp_path / "made", replace=True) as fresh:
        (fresh / "new.txt").write_text("new")
    assert [each.name for each in (tmp_path / "made").iterdir()] == ["new.txt"]
    assert [each.name for each in tmp_path.iterdir()] == ["made"]


def test_a_files_hash(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(CheckpointError, match="can't be read"):
        sha256_of(tmp_path / "b")


def test_the_old_folder_comes_back_where_the_new_one_can_not_take_its_place(tmp_path, monkeypatch):
    """As when a disk fails between the two renames."""
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "old.txt").write_text("old")
    rename = Path.replace

    def failing(self, target):
        if (self / "new.txt").exists():
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="no"), new_folder(tmp_path / "made", replace=True) as fresh:
        (fresh / "new.txt").write_text("new")
    assert [each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*")] == ["made", "made/old.txt"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"{", "not JSON"),
        (b"[]", r"it holds \[\], and an object"),
        (b"null", "it holds null"),
        (b"\xff{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_holds_no_object_is_told(tmp_path, content, told):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=told) as caught:
        read_object(tmp_path / "config.json", fix="get it again")
    assert caught.value.where == str(tmp_path / "config.json") and caught.value.fix == "get it again"


def test_an_object_that_is_not_there_or_a_folder_is_told(tmp_path):
    for path, told in ((tmp_path / "none.json", "No such file"), (tmp_path, "directory")):
        with pytest.raises(CheckpointError, match=told):
            read_object(path, fix="get it again")


def test_a_place_is_checked_before_the_work(tmp_path):
    (tmp_path / "file").write_text("kept")
    check_place(tmp_path / "file", "figures")
    check_place(tmp_path / "new" / "deep" / "file", "figures")
    check_place(tmp_path / "new", "figures", folder=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    for place, folder, said in (
        (tmp_path, False, "a folder is there"),
        (tmp_path / "file", True, "a file is there"),
        (Path("/dev/null"), False, "a device is there"),
        (tmp_path / "file" / "below", False, "Not a directory"),
        (Path("/proc/nowhere/a"), False, "figures can't be written"),
    ):
        with pytest.raises(VlzooError, match=said):
            check_place(place, "figures", folder=folder)


def test_a_device_or_a_folder_is_not_replaced_by_a_file(tmp_path):
    for place in (Path("/dev/null"), tmp_path):
        with pytest.raises(OSError, match="no file"):
            write_text(place, "text")
    assert Path("/dev/null").is_char_device() and tmp_path.is_dir()
