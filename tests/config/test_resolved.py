"""Every value of a recipe with its origin."""

from __future__ import annotations

import pytest

from vlzoo.config.check import load
from vlzoo.config.resolved import rows


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
