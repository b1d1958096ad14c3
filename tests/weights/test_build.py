"""A converted checkpoint becomes a whole system: resized, completed, refused where shapes do not fit."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from vlzoo.errors import CheckpointError
from vlzoo.weights.adapter import Converted
from vlzoo.weights.albef import AlbefAdapter
from vlzoo.weights.build import complete, resize

POSITIONS = "model.image_encoder.model.pos_embed"
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}


@pytest.fixture
def convert(official):
    def make(kind: str, **sizes: int):
        return AlbefAdapter(heads=4, image_heads=4).convert(official(**sizes).of(kind))

    return make


def test_positions_are_resized_as_interpolate_does(convert):
    """Against torch's bicubic interpolation without aligned corners, as ALBEF's `interpolate_pos_embed` calls it."""
    before = convert("pretrain")
    after, notes = resize(before, 20)
    for old, new in ((before.system, after.system), (before.teacher, after.teacher)):
        grid = old[POSITIONS][:, 1:].reshape(1, 3, 3, 12).permute(0, 3, 1, 2)
        wanted = F.interpolate(grid, (5, 5), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).flatten(1, 2)
        torch.testing.assert_close(new[POSITIONS], torch.cat([old[POSITIONS][:, :1], wanted], dim=1))
    assert after.recipe["model"]["image_encoder"]["image_size"] == 20
    assert after.recipe["augment"]["eval"]["size"] == 20
    assert [note.split("the ")[1].split(" ")[0] for note in notes] == ["student", "teacher"]
    assert complete(after, SPECIAL, where="file", resized=notes).report.resized == notes


def test_the_same_resolution_changes_nothing(convert):
    before = convert("pretrain")
    assert resize(before, 12) == (before, ())


def test_an_encoder_without_a_position_table_is_resized_by_its_recipe_alone():
    """A Swin of two stages: a token of 8 pixels, and no word of a vision transformer's options."""
    arguments = {"window_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2]}
    encoder = {"part": "timm", "name": "swin_tiny_patch4_window7_224", "image_size": 32, "arguments": arguments}
    recipe = {"model": {"image_encoder": encoder}, "augment": {"eval": {"part": "plain", "size": 32}}}
    before = Converted("pretrain", recipe, vocab=30, classes=0, system={}, teacher={})
    after, notes = resize(before, 64)
    assert notes == ()
    assert after.recipe["model"]["image_encoder"] == {**encoder, "image_size": 64}
    with pytest.raises(CheckpointError, match=r"patches of 8(.|\n)*multiple of 8: 64"):
        resize(before, 65)


def test_a_resolution_that_no_patches_fill_is_refused(convert):
    with pytest.raises(CheckpointError, match="resolution of 21") as caught:
        resize(convert("pretrain"), 21)
    assert "20" in str(caught.value)


def test_what_is_missing_is_fresh_and_the_same_each_time(convert):
    one, two = (complete(convert("snli-ve"), SPECIAL, where="file") for _ in range(2))
    name = "model.image_projection.weight"
    assert name in one.report.missing
    assert torch.equal(one.system[name], two.system[name])
    assert f"missing, fresh weights: {name}" in one.report.lines()


def test_the_global_generator_is_left_alone(convert):
    converted = convert("snli-ve")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    complete(converted, SPECIAL, where="file")
    assert torch.equal(torch.rand(1), expected)


def test_a_teacher_takes_from_the_student_what_has_no_twin(convert):
    """A task's checkpoint has no joint space: what stands in for it is the student's."""
    made = complete(convert("snli-ve"), SPECIAL, where="file")
    joint = "model.image_projection.weight"
    assert joint in made.report.missing and torch.equal(made.teacher[joint], made.system[joint])
    assert not torch.equal(made.teacher[POSITIONS], made.system[POSITIONS])


def test_a_shape_that_does_not_fit_is_named(convert):
    converted = convert("pretrain")
    wrong = dataclasses.replace(converted, system={**converted.system, "objectives.itm.head.bias": torch.zeros(5)})
    with pytest.raises(CheckpointError, match=r"objectives.itm.head.bias has the shape \[5\].*\[2\]"):
        complete(wrong, SPECIAL, where="file")
