"""What of a picture can become rows: literal arithmetic on pictures of 64 pixels, with cells of 16."""

from __future__ import annotations

import numpy as np
import pytest
from vlzoo_xvlm.pieces import Piece, cells, pieces_of

from vlzoo.augment.boxes import scaled
from vlzoo.data.records import Region, Sample
from vlzoo.data.visit import Look

BALL = Region((16, 0, 16, 16), "ball", attributes=("red",))
TREE = Region((0, 32, 64, 32), "tree", others=("the tree",))


def pieces(*regions, texts=(), boxes=None, each=5, least=0.5, seed=0):
    """Those of a look that changed nothing, or that moved the boxes."""
    said = [*texts, *(text for region in regions for text in (region.text, *region.others))]
    look = Look(np.zeros((64, 64, 3), np.uint8), tuple(said), tuple(boxes or [region.box for region in regions]))
    sample, rng = Sample("x", (), tuple(texts), regions=regions), np.random.default_rng(seed)
    return list(pieces_of(sample, look, rng, each=each, least_inside=least))


def grid(*rows):
    return [char == "x" for row in rows for char in row]


def test_the_caption_first_then_regions_in_any_order():
    found = [pieces(BALL, TREE, texts=["a dog"], seed=seed) for seed in range(40)]
    assert all(each[0] == Piece(0, "a dog", (0, 0, 64, 64)) for each in found)
    assert {tuple(piece.place for piece in each) for each in found} == {(0, 1, 2), (0, 2, 1)}
    assert {piece.text for each in found for piece in each} == {"a dog", "red ball", "tree", "the tree"}
    assert {piece.box for each in found for piece in each[1:]} == {BALL.box, TREE.box}


def test_no_more_than_each():
    assert [piece.place for piece in pieces(BALL, TREE, texts=["a dog"], each=1)] == [0]
    assert [piece.place for piece in pieces(BALL, TREE, texts=["a dog"], each=2)][:1] == [0]
    assert [len(pieces(*[BALL, TREE] * 4, texts=["a dog"], each=each)) for each in (2, 5, 9, 20)] == [2, 5, 9, 9]
    assert [len(pieces(*[BALL, TREE] * 4, each=each)) for each in (1, 5, 20)] == [1, 5, 8]


def test_one_of_several_captions_and_attributes():
    wordy = Region((0, 0, 9, 9), "cat", attributes=("old", "", "big"))
    found = [pieces(wordy, texts=["a", "b"], seed=seed) for seed in range(60)]
    assert {each[0].text for each in found} == {"a", "b"}
    assert {each[1].text for each in found} == {"old cat", "big cat"}


@pytest.mark.parametrize(("least", "kept"), [(0.0, True), (0.49, True), (0.5, False), (0.9, False)])
def test_a_box_with_half_of_it_outside(least, kept):
    """8 of 16 columns lie in the picture: a half, and there must be more of it than `least`."""
    found = pieces(Region((56, 0, 16, 16), "ball"), least=least)
    assert found == ([Piece(1, "ball", (56, 0, 8, 16))] if kept else [])


def test_half_stays_half_when_pictures_are_resized():
    """7 of 14 columns, in pictures of 20 to 119 that become 64: rounding must not make more than a half of it."""
    for width in range(20, 120):
        box = (width - 7, 0, 14, 16)
        assert pieces(Region(box, "ball"), boxes=scaled([box], (width, 50), (64, 64))) == []


@pytest.mark.parametrize(
    "region",
    [
        Region((100, 0, 5, 5), "cat"),
        Region((0, 0, 0, 5), "cat"),
        Region((9, 9, -5, -5), "cat"),
        Region((float("nan"), 0, 5, 5), "cat"),
        Region((0, 0, float("inf"), 5), "cat"),
        Region((0, 0, 9, 9), ""),
        Region((0, 0, 9, 9), "..."),
    ],
)
def test_what_shows_or_says_nothing_is_left_out(region):
    assert pieces(region) == [] and [piece.place for piece in pieces(region, BALL)] == [2]


def test_empty_captions_are_left_out():
    assert pieces(texts=["?"]) == [] and pieces() == []


def test_an_expression_is_no_caption():
    """Readers of RefCOCO give an expression as the sample's text and as its region's."""
    assert pieces(Region((8, 8, 9, 9), "the cat left", "expression"), texts=["the cat left"]) == [
        Piece(1, "the cat left", (8, 8, 9, 9))
    ]


@pytest.mark.parametrize(
    ("box", "met"),
    [
        ((0, 0, 64, 64), grid(*["xxxx"] * 4)),
        ((16, 16, 16, 16), grid("....", ".x..", "....", "....")),
        ((15.9, 16, 16.2, 16), grid("....", "xxx.", "....", "....")),
        ((63.5, 63.5, 0.1, 0.1), grid("....", "....", "....", "...x")),
        ((64, 64, 0, 0), grid("....", "....", "....", "...x")),  # at least one, within the grid
        ((0, 40, 1, 90), grid("....", "....", "x...", "x...")),
    ],
)
def test_cells(box, met):
    """Columns floor(x / 16) to ceil((x + w) / 16), that one not included; rows alike (ALBEF_XVLM.md, section 7)."""
    assert cells(box, 64, 16).reshape(-1).tolist() == met
