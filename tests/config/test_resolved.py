"""Every value of a recipe with its origin."""

from __future__ import annotations

import pytest

from vlzoo.config.check import load
from vlzoo.config.references import references
from vlzoo.config.resolved import GIVEN, rows, whole
from vlzoo.config.tree import written
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry


@pytest.fixture
def resolved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(
        "about: base\nmodel:\n  fusion: cross_attention\n  joint: 64\n  image_encoder: timm\n  text_encoder: bert\n"
    )
    (tmp_path / "r.yaml").write_text("extends: base.yaml\nmodel:\n  fusion: {layers: 2}\nobjectives:\n  itc:\n")

    def made(**changes) -> dict[str, tuple[object, str]]:
        return {key: (value, origin) for key, value, origin in rows(load("r.yaml", **changes))}

    return made


def test_each_value_names_the_line_it_stands_in(resolved):
    made = resolved()
    assert made["about"] == ("base", "base.yaml:1")
    assert made["model.joint"] == (64, "base.yaml:4")
    assert made["model.fusion.layers"] == (2, "r.yaml:3")
    assert made["model.fusion.part"] == ("cross_attention", "base.yaml:3")


def test_what_nobody_wrote_is_a_default_and_says_whose(resolved):
    made = resolved()
    assert made["train.batch"][1] == "default"
    assert made["model.fusion.heads"][1].startswith("default of cross_attention (vlzoo ")


def test_the_command_line_is_an_origin_also_inside_a_mapping(resolved):
    made = resolved(sets=("augment={train: {part: strong, size: 32}}", "train.lr=1"), extra=("itm",))
    assert made["train.lr"] == (1.0, "--set train.lr=1")
    assert made["augment.train.part"] == ("strong", "--set augment={train: {part: strong, size: 32}}")
    assert made["augment.train.size"] == (32, "--set augment={train: {part: strong, size: 32}}")
    assert made["objectives.itm.head"][1].startswith("default of itm")


def test_a_part_by_its_short_name_has_that_line_as_origin(resolved):
    assert resolved(sets=("augment.train=strong",))["augment.train.part"] == ("strong", "--set augment.train=strong")


def test_a_recipe_is_whole_with_the_options_that_were_left_at_their_defaults():
    recipe = load("softmaskpp-tiny").recipe
    data = whole(recipe)
    missing = []
    for kind, path, name, given in references(data):
        for option in schema_of(registry().find(kind, name)).options:
            if option.name in given or option.name in GIVEN.get(kind, ()) or option.default is None or kind == "task":
                continue
            missing.append((path, option.name))
    assert missing == []
    # The signature of CrossAttention says so; the recipe says nothing of it.
    assert "images" not in (recipe.model.fusion.options if recipe.model.fusion else {})
    assert data["model"]["fusion"]["images"] == 1
    assert "image_width" not in data["model"]["fusion"]  # it follows from the encoder
    assert data["augment"]["train"].keys() > {"part", "size"}


def test_what_is_written_whole_is_the_same_recipe_and_whole_again(tmp_path):
    for name in ("albef-tiny", "softmaskpp-tiny", "albef"):
        data = whole(load(name).recipe)
        (tmp_path / "r.yaml").write_text(written(data))
        again = load(str(tmp_path / "r.yaml"))
        assert whole(again.recipe) == again.recipe.model_dump(mode="json") == data
