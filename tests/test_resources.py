"""Files that come with vlzoo."""

from __future__ import annotations

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
