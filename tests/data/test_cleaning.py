"""Bounds on texts and boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.data.cleaning import (
    MAX_CHARACTERS,
    MAX_REGIONS,
    MAX_WORDS,
    box_numbers,
    clean_box,
    clean_count,
    clean_text,
)
from vlzoo.data.decoding import MAX_PIXELS
from vlzoo.data.faults import Faults
from vlzoo.errors import DataError


def test_ten_thousand_words_are_cut_and_named():
    faults = Faults("x")
    text = clean_text("word " * 10_000, "captions.json:7", faults)
    assert len(text.split()) == MAX_WORDS
    assert faults.mended == {"caption cut": 1} and not faults.skipped
    assert "captions.json:7" in str(faults.listed[0]) and "10,000 words" in str(faults.listed[0])


def test_a_text_without_spaces_is_cut_too():
    assert len(clean_text("x" * 10**6, "f", Faults("x"))) == MAX_CHARACTERS


@pytest.mark.parametrize("empty", ["", "   ", "\n\t"])
def test_empty_captions_are_counted_and_dropped(empty):
    faults = Faults("x")
    assert clean_text(empty, "f:3", faults) is None
    assert faults.skipped == {"empty caption": 1}


def test_texts_that_are_not_text():
    with pytest.raises(DataError, match=r"f:3.*None, expected text"):
        clean_text(None, "f:3", Faults("x"))


@given(st.text(max_size=3000))
def test_a_text_within_bounds_is_kept_word_by_word(text):
    kept = clean_text(text, "f", Faults("x"))
    assert kept is None or kept.encode("utf-8")
    if kept is not None and "\0" not in text:
        assert kept.split() == text.split()[:MAX_WORDS]


def test_lone_surrogates_can_be_encoded():
    assert clean_text("a \ud83d b", "f", Faults("x")).encode("utf-8") == b"a ? b"


def test_boxes():
    faults = Faults("x")
    assert clean_box([1, 2, 3, 4], "f", faults, size=(10, 10)) == (1, 2, 3, 4)
    assert clean_box([-5, 0, 10, 5], "id 3", faults, size=(10, 10)) == (0, 0, 5, 5)
    assert clean_box([8.0, 8.0, 2.4, 2.4], "f", faults, size=(10, 10)) == (8, 8, 2, 2)
    assert faults.mended == {"box clipped": 1}  # an overhang below a pixel is rounding
    assert clean_box([20, 0, 5, 5], "id 4", faults, size=(10, 10)) is None
    assert clean_box([1, 1, 0, 5], "id 5", faults, size=(10, 10)) is None
    assert clean_box([1, 1, 5, -1], "id 6", faults) is None
    assert clean_box([1, float("nan"), 5, 5], "id 7", faults) is None
    kinds = ("box outside the picture", "box of no area", "box with swapped corners", "box not finite")
    assert faults.skipped == dict.fromkeys(kinds, 1)
    assert "id 4" in str(faults.listed[1])
    for wrong in ([1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, 4, 5]):
        with pytest.raises(DataError, match="f"):
            clean_box(wrong, "f", faults)


@pytest.mark.parametrize("size", [None, (640, 480)])
def test_shares_where_pixels_are_expected(size):
    """All four numbers up to 1: in pixels that would be one pixel. Shares are told by a picture of 1 x 1."""
    faults = Faults("x")
    for shares in ([0.1, 0.2, 0.5, 0.5], [0, 0, 1, 1], [0.0, 0.0, 0.25, 1.0]):
        assert clean_box(shares, "id 8", faults, size=size) is None
        assert clean_box(shares, "id 8", faults, size=(1, 1)) == tuple(shares)
    assert faults.skipped == {"box in shares, not in pixels": 3}
    assert "id 8: box in shares, not in pixels: [0.1, 0.2, 0.5, 0.5]" in str(faults.listed[0])
    assert clean_box([0.5, 0.5, 1.5, 1], "id 9", faults) == (0.5, 0.5, 1.5, 1)


def test_ten_thousand_regions_are_bounded_and_counted():
    faults = Faults("x")
    faults.count("boxes", MAX_REGIONS)
    assert clean_count(list(range(10_000)), "7.jpg", faults) == list(range(MAX_REGIONS))
    assert faults.skipped == {"region beyond the 1,000 of a picture": 9_000} and len(faults.listed) == 1
    with pytest.raises(DataError, match=r"9,000 of 10,000 records .*7\.jpg: region beyond .*: 10,000 regions"):
        faults.check()
    assert clean_count([1, 2], "8.jpg", faults) == [1, 2] and faults.skipped.total() == 9_000


@pytest.mark.parametrize(
    "wrong", [[], None, "1 2 3 4", [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, "4"], [1, 2, 3, True], {}, 5]
)
def test_what_is_no_box_is_shown_with_its_place(wrong):
    with pytest.raises(
        DataError, match=r"^f:7: (the box is|a number of the box is) .*, expected a (list of four )?number"
    ):
        clean_box(wrong, "f:7", Faults("x"))
    with pytest.raises(DataError, match=r"^f:7: "):
        box_numbers(wrong, "f:7")


@pytest.mark.parametrize("size", [None, (10, 10)])
def test_boxes_beyond_any_picture(size):
    nan, inf, huge = float("nan"), float("inf"), 1e308
    faults = Faults("x")
    for box in ([nan, 0, 1, 1], [0, inf, 1, 1], [0, 0, -inf, 1], [0, 0, 1, inf], [5, 5, -3, -3]):
        assert clean_box(box, "f", faults, size=size) is None
    assert faults.skipped == {"box not finite": 4, "box with swapped corners": 1}
    for box in ([huge, 0, 1, 1], [huge, huge, huge, huge], [-huge, 0, 1, 1]):
        assert clean_box(box, "f", faults, size=size) is None
    assert faults.skipped["box outside the picture"] == 3
    side = size[0] if size else MAX_PIXELS  # no picture has more rows or columns than it may have pixels
    assert clean_box([2, 2, huge, huge], "f", faults, size=size) == (2, 2, side - 2, side - 2)
    assert faults.mended == {"box clipped": 1}


def test_a_box_may_reach_beyond_a_picture_whose_size_is_not_told():
    assert clean_box([-0.5, -3, 20_000, 7.25], "f", Faults("x")) == (-0.5, -3, 20_000, 7.25)


def test_zeros_alone_are_no_text():
    faults = Faults("x")
    assert clean_text(" \0\0 ", "f", faults) is None and faults.skipped == {"empty caption": 1}
    assert clean_text("a\0b", "f", faults) == "a b"


coordinate = st.floats(-300, 300)


@given(st.tuples(coordinate, coordinate, coordinate, coordinate), st.integers(1, 200), st.integers(1, 200))
def test_a_kept_box_lies_in_its_picture(box, width, height):
    kept = clean_box(list(box), "f", Faults("x"), size=(width, height))
    if kept is not None:
        x, y, w, h = kept
        assert x >= 0 and y >= 0 and w > 0 and h > 0
        assert x + w <= width + 1e-9 and y + h <= height + 1e-9
