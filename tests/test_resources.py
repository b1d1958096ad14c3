"""Files that come with vlzoo, and files written whole."""

from __future__ import annotations

import pytest

from vlzoo import resources


def test_the_recipes_and_the_published_numbers_are_there():
    assert resources.zoo_configs().is_dir()
    assert resources.published().is_file()


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "mine"))
    assert resources.cache_dir() == tmp_path / "mine"
    monkeypatch.delenv("VLZOO_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert resources.cache_dir() == tmp_path / "vlzoo"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    file = tmp_path / "deep" / "a.txt"
    resources.write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        resources.write_text(file, "new \ud800")
    assert file.read_text() == "old"
    assert [each.name for each in file.parent.iterdir()] == ["a.txt"]
