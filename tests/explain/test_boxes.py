"""Boxes of a run beside true ones; the run's objective is a stand-in that always finds the middle.

Legend: B rows.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from vlzoo.bench.engine import Engine
from vlzoo.config.check import load
from vlzoo.data.images import FileImage
from vlzoo.errors import CheckpointError
from vlzoo.explain.boxes import FOUND, TRUE, box_figures, boxes_line, boxes_sheet, find_boxes
from vlzoo.explain.subject import Said, Subject
from vlzoo.models.assemble import build_system
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "cat"]
RECIPE = """
model:
  image_encoder: {part: timm, name: vit_tiny_patch16_224, image_size: 32,
                  arguments: {patch_size: 8, embed_dim: 32, depth: 1, num_heads: 2}}
  text_encoder: {part: bert, layers: 1, width: 32, heads: 2, intermediate: 64, max_length: 16}
  fusion: {part: cross_attention, layers: 2, width: 32, heads: 2, intermediate: 64}
  joint: 16
objectives: {itm: {}}
augment: {train: {part: weak, size: 32}, eval: {part: plain, size: 32}}
data: {part: scenes}
"""
HALF = (12.5, 7.5, 25.0, 15.0)
"""The middle half of a picture of 50 x 30 pixels."""


@pytest.fixture
def engine(tmp_path):
    (tmp_path / "small.yaml").write_text(RECIPE)
    recipe, tokenizer = load(str(tmp_path / "small.yaml")).recipe, Tokenizer(WORDS, max_length=9)
    return Engine(recipe, build_system(recipe, vocab=8, special=tokenizer.special), tokenizer, None, "none")


@pytest.fixture
def finder(engine):
    def boxes(step):
        assert step.ids().ids.shape[0] == len(step.batch.key)
        return torch.full((len(step.batch.key), 4), 0.5)

    engine.system.objectives["itm"].offers = lambda: {"boxes": boxes}
    return engine


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.full((30, 50, 3), 90, dtype=np.uint8)).save(tmp_path / "p.png")
    return FileImage(str(tmp_path), "p.png")


def test_boxes_are_in_pixels_with_their_overlap(finder, picture):
    """The rule of lichengunc/refer: 25 x 15 pixels of both, of 26 x 16; and boxes that do not meet."""
    said = (Said("a cat", ((12.0, 7.0, 26.0, 16.0), (0.0, 0.0, 5.0, 5.0))), Said("a red cat"))
    found = find_boxes(finder, Subject("p", picture, said))
    assert [each.box for each in found] == [HALF, HALF]
    assert found[0].overlap == (pytest.approx(25 * 15 / (26 * 16)), 0.0) and found[1].overlap == ()
    first, second = box_figures(found)
    assert first["text"] == "a cat" and first["box"] == list(HALF) and first["true"][1] == [0.0, 0.0, 5.0, 5.0]
    assert second["true"] == second["iou"] == []


def test_the_line_says_the_box_or_how_many_are_right(finder, picture):
    right, wrong, unknown = (Said("a cat", (HALF,)), Said("a cat", ((0.0, 0.0, 9.0, 9.0),)), Said("a cat"))
    lines = []
    for said in ((right,), (unknown,), (right, wrong, unknown), (unknown, unknown)):
        lines.append(boxes_line(find_boxes(finder, Subject("p", picture, said)), "one"))
    assert lines[0] == "one: IoU 1.00; 25.0 x 15.0 at 12.5, 7.5" and lines[1] == "one: 25.0 x 15.0 at 12.5, 7.5"
    # 9 x 9 from the corner covers pixels up to 8 where the box begins at 12.5: nothing of it.
    assert lines[2] == "one: 1 of 2 boxes right (IoU 0.5 or more), mean IoU 0.50" and lines[3] == "one: 2 boxes"


def test_both_boxes_are_seen_in_the_drawing(finder, picture):
    """The drawing is 480 wide, 9.6 times the stored picture: the left edges lie at 12.5 and at 30 times that."""
    subject = Subject("p", picture, (Said("a cat", ((30.0, 10.0, 10.0, 10.0),)),))
    found = find_boxes(finder, subject)
    sheet = boxes_sheet(subject, [("one", found), ("two", found)])
    assert [cell.title for cell in sheet.cells] == ["picture", "one: a cat", "two: a cat"]
    drawn = sheet.cells[1].picture
    assert drawn.shape == (288, 480, 3)
    assert drawn[144, 120].tolist() == list(FOUND) and drawn[144, 288].tolist() == list(TRUE)
    assert (sheet.cells[0].picture == 90).all() and "blue: the true one" in sheet.foot and len(sheet.lines) == 2
    alone = boxes_sheet(Subject("p", picture, (Said("a cat"),), left_out=3), [("one", found)])
    assert "blue" not in alone.foot and "3 more texts" in alone.foot


def test_a_run_without_boxes_is_refused(engine, picture, tmp_path):
    """What was fine-tuned inside it is named, where there is something."""
    subject = Subject("p", picture, (Said("a cat"),))
    with pytest.raises(CheckpointError, match="objectives: itm") as caught:
        find_boxes(engine, subject)
    assert "offer `boxes`" in caught.value.fix
    engine.run = tmp_path / "run"
    (engine.run / "finetune" / "grounding").mkdir(parents=True)
    with pytest.raises(CheckpointError) as caught:
        find_boxes(engine, subject)
    assert str(engine.run / "finetune" / "grounding") in caught.value.fix
