from __future__ import annotations

import hashlib
import json
import os
from multiprocessing import get_context

import pytest
from PIL import Image

from vlzoo.data.scenes import make
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.errors import DataError


def _content(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_workers_change_nothing_and_the_seed_changes_all(tmp_path):
    sizes = Sizes.split(90, 10, 10)
    one = make_scenes(tmp_path / "one", sizes, seed=3, workers=1)
    two = make_scenes(tmp_path / "two", sizes, seed=3, workers=3)
    other = make_scenes(tmp_path / "other", sizes, seed=4, workers=1)
    assert one == two
    assert _content(tmp_path / "one") == _content(tmp_path / "two")
    assert other["fingerprint"] != one["fingerprint"]


def test_a_larger_corpus_begins_with_the_smaller_one(tmp_path):
    make_scenes(tmp_path / "small", Sizes.split(6, 3, 3), seed=3)
    make_scenes(tmp_path / "large", Sizes.split(12, 3, 3), seed=3)
    for number in range(1, 7):
        files = [tmp_path / name / "images" / f"{number}.png" for name in ("small", "large")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_the_fingerprint_sees_the_pixels(tmp_path):
    cards = [make_scenes(tmp_path / str(side), Sizes.split(6, 3, 3), side=side) for side in (64, 80)]
    assert cards[0]["fingerprint"] != cards[1]["fingerprint"]
    with Image.open(tmp_path / "80" / "images" / "1.png") as image:
        assert image.size == (80, 80)


def test_the_card_tells_licence_seed_and_sizes(tmp_path):
    card = make_scenes(tmp_path / "out", Sizes.of(24), seed=9)
    assert json.loads((tmp_path / "out" / "card.json").read_text()) == card
    assert card["licence"] == "CC0-1.0" and card["seed"] == 9 and card["generator"] == make.VERSION
    assert card["sizes"] == {
        "train": 18, "val": 3, "test": 3, "premises_train": 6, "premises_val": 3, "premises_test": 3,
    }  # fmt: skip
    assert card["images"] == sum(card["sizes"].values()) == len(list((tmp_path / "out" / "images").iterdir()))


def test_usual_sizes():
    assert Sizes.of(10_000) == Sizes(9000, 500, 500, 3000, 500, 500)
    assert Sizes.of(800) == Sizes(600, 100, 100, 200, 100, 100)
    with pytest.raises(DataError, match="23 images cannot be split"):
        Sizes.of(23)
    with pytest.raises(DataError, match="2 images for val"):
        Sizes.split(100, 2, 10)


def test_refuses_a_folder_in_use_and_keeps_it(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    for force in (False, True):
        with pytest.raises(DataError):
            make_scenes(tmp_path, Sizes.of(24), force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_force_replaces_a_corpus(tmp_path):
    out = tmp_path / "out"
    first = make_scenes(out, Sizes.of(24), seed=1)
    with pytest.raises(DataError, match="not empty"):
        make_scenes(out, Sizes.of(24), seed=2)
    assert json.loads((out / "card.json").read_text()) == first
    second = make_scenes(out, Sizes.of(24), seed=2, force=True)
    assert json.loads((out / "card.json").read_text()) == second != first
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_refuses_a_file_and_a_side_out_of_range(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="a file is where the folder should be"):
        make_scenes(tmp_path / "file", Sizes.of(24))
    for side in (63, 257):
        with pytest.raises(DataError, match=f"a side of {side} px"):
            make_scenes(tmp_path / "out", Sizes.of(24), side=side)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_half_way_leaves_nothing(tmp_path, monkeypatch, error):
    def fail(*args):
        raise error

    out = tmp_path / "out"
    make_scenes(out, Sizes.of(24), seed=1)
    before = _content(out)
    monkeypatch.setattr(make, "write_unpaired", fail)
    expected = DataError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="no room on the disk" if expected is DataError else None):
        make_scenes(out, Sizes.of(24), seed=2, force=True)
    assert _content(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_progress_counts_every_picture(tmp_path):
    seen = []
    card = make_scenes(tmp_path / "out", Sizes.of(120), progress=seen.append)
    assert sum(seen) == card["images"] and len(seen) > 1


def _die(*args):
    os._exit(1)


def test_a_worker_that_dies_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "make_pictures", _die)
    monkeypatch.setattr(make, "get_context", lambda _: get_context("fork"))  # spawned workers cannot import this test
    with pytest.raises(DataError, match="a drawing process died"):
        make_scenes(tmp_path / "out", Sizes.of(120), workers=2)
    assert not list(tmp_path.iterdir())
