"""From a recipe's mention of data to its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlzoo.config.schema import PartRef
from vlzoo.data import roots
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.errors import DataError, UnknownName


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    make_scenes(folder / "scenes", Sizes.split(12, 3, 3), seed=1, workers=1)
    return folder


def test_the_option_the_environment_then_here(monkeypatch):
    monkeypatch.setenv("VLZOO_DATA", "there")
    assert roots.data_root("given") == Path("given")
    assert roots.data_root() == Path("there")
    monkeypatch.delenv("VLZOO_DATA")
    assert roots.data_root() == Path("data")


def test_a_source_lies_under_its_name_or_where_the_recipe_says(base):
    train = roots.open_source(PartRef(part="scenes", split="train"), base)
    assert len(train) > 0 and train.name.startswith("scenes")
    asked = roots.open_source(PartRef(part="scenes-vqa", root="scenes", split="train"), base)
    assert asked[0].answers


def test_a_mixture_lies_in_the_data_root_itself(base, tmp_path):
    """Before, a recipe without `root` was told of a folder called mixture."""
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nabout: scenes alone\npairing: pair\nparts:\n  scenes: {part: scenes}\n")
    found = roots.open_source(PartRef(part="mixture", file=str(file)), base)
    assert found[0].name.startswith("scenes/")


def test_changes_replace_the_recipes_options(base):
    wanted = PartRef(part="scenes-vqa", root="scenes", split="train")
    test = roots.open_source(wanted, base, split="test")
    assert "test" in test.name
    assert roots.open_source(wanted, base, split=None).fingerprint() != test.fingerprint()


def test_a_missing_folder_and_an_unknown_source_are_named(base):
    with pytest.raises(DataError, match=r"there is no folder '.*nowhere'"):
        roots.open_source(PartRef(part="scenes", root="nowhere"), base)
    with pytest.raises(UnknownName, match="no data called 'scenez'"):
        roots.open_source(PartRef(part="scenez"), base)
