"""A mixed sentence drawn: words and patches in order, and pictures that can't be read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vlzoo.data.features import Features
from vlzoo.data_parts import Mixer, Swap
from vlzoo.errors import VlzooError
from vlzoo.explain.mixed import SIDE, mix, mixed_figures, mixed_sheet, thumbnail


class Squares(Mixer):
    """Two patches for `square`, of one picture: its left half and its right half."""

    width = 1

    def __init__(self, picture):
        self.picture = str(picture)

    def mix(self, text, rng):
        if "square" not in text:
            return ()
        start = text.index("square")
        boxes = np.float32([[0, 0, 0.5, 1], [0.5, 0, 1, 1]])
        return [Swap(start, start + len("square"), Features(np.zeros((2, 1), np.float32), boxes), (0, 1))]

    def pictures(self, swap):
        return [self.picture for _ in swap.keys]


@pytest.fixture
def picture(tmp_path):
    """Red on the left, blue on the right."""
    levels = np.zeros((10, 20, 3), np.uint8)
    levels[:, :10, 0], levels[:, 10:, 2] = 255, 255
    Image.fromarray(levels).save(tmp_path / "two.png")
    return tmp_path / "two.png"


def test_words_and_patches_stand_in_the_order_of_the_sentence(picture):
    mixer = Squares(picture)
    text, swaps = mix(mixer, "A red square, left.", seed=0)
    sheet = mixed_sheet(mixer, text, swaps)
    assert text == "a red square left"
    assert [cell.text for cell in sheet.cells] == ["a", "red", "", "", "left"]
    assert [cell.title for cell in sheet.cells] == ["", "", "square", "", ""]
    assert sheet.lines == ["replaced: 'square' by 2 patches"]
    one, other = (cell.picture[SIDE // 2, SIDE // 2] for cell in sheet.cells[2:4])
    assert one.tolist() == [255, 0, 0] and other.tolist() == [0, 0, 255]
    assert {cell.picture.shape for cell in sheet.cells} == {(SIDE, SIDE, 3)}
    (told,) = mixed_figures(mixer, text, swaps)["replaced"]
    assert told["word"] == "square" and [each["box"][0] for each in told["patches"]] == [0, 0.5]


def test_a_sentence_that_is_not_cleaned_stays_as_it_is(picture):
    """As `rows: mixed` mixes it under `tokenizer.clean: false`: words, places and signs are those of the sentence."""
    text, (swap,) = mix(Squares(picture), "A red square, left.", seed=0, cleans=False)
    assert text == "A red square, left."
    assert text[swap.start : swap.end] == "square"
    with pytest.raises(VlzooError, match="has no word"):
        mix(Squares(picture), "  ", seed=0, cleans=False)


def test_a_picture_that_is_gone_is_grey():
    assert (thumbnail("nowhere.png", np.float32([0, 0, 1, 1])) == 200).all()
    assert (thumbnail("", np.float32([0, 0, 1, 1])) == 200).all()


def test_nothing_replaced_and_nothing_said(picture):
    mixer = Squares(picture)
    sheet = mixed_sheet(mixer, *mix(mixer, "a red ring", seed=0))
    assert "no word is replaced" in sheet.lines[0]
    with pytest.raises(VlzooError, match="has no word"):
        mix(mixer, " ,. ", seed=0)
