"""The arithmetic of drawings, against plain numbers."""

from __future__ import annotations

import numpy as np
import pytest

from vlzoo.explain import draw

RNG = np.random.default_rng(0)


def test_overlay_is_the_notebooks_formula():
    """(1 - a^0.7) picture + a^0.7 jet: at the peak a = 1 gives jet's last colour, at the least a = 0 the picture.

    Jet ends in (0.5, 0, 0) (matplotlib's table): 127.5 rounds to 128.
    """
    picture = RNG.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    map_ = RNG.random((4, 6)).astype(np.float32)
    drawn, alpha = draw.overlay(picture, map_), draw.smooth(map_, (32, 48))
    top, low = np.unravel_index(alpha.argmax(), alpha.shape), np.unravel_index(alpha.argmin(), alpha.shape)
    assert drawn[top].tolist() == [128, 0, 0]
    assert drawn[low].tolist() == picture[low].tolist()


def test_a_flat_map_leaves_the_picture():
    """There is nothing to show, and nothing is divided by zero."""
    picture = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(draw.overlay(picture, np.full((2, 2), 3.0, dtype=np.float32)), picture)


def test_the_peak_stays_where_it_is():
    """One hot patch: the smooth map is greatest inside it, for a picture that is not square."""
    map_ = np.zeros((4, 6), dtype=np.float32)
    map_[2, 4] = 1e-9
    row, column = np.unravel_index(draw.smooth(map_, (40, 120)).argmax(), (40, 120))
    assert 20 <= row < 30 and 80 <= column < 100
    assert draw.peak(map_) == (2, 4)


def test_blocks_shade_and_mask_by_hand():
    """Half weight halves the levels of its patch."""
    weight = np.array([[1.0, 0.5]], dtype=np.float32)
    assert draw.blocks(weight, (2, 4)).tolist() == [[1, 1, 0.5, 0.5]] * 2
    picture = np.full((2, 4, 3), 200, dtype=np.uint8)
    assert draw.masked(picture, weight)[0, :, 0].tolist() == [200, 200, 100, 100]
    assert draw.shade(weight, (2, 4))[1, :, 2].tolist() == [255, 255, 128, 128]


@pytest.mark.parametrize("shape", [(10, 40, 3), (900, 300, 3)])
def test_pictures_fit(shape):
    """The longer side at 480 pixels, aspect kept."""
    fitted = draw.fit(np.zeros(shape, dtype=np.uint8))
    assert max(fitted.shape) == 480
    assert fitted.shape[0] / fitted.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.01)


def test_cells_are_flat_within_a_patch():
    """No smoothing: two patches, two colours on an even picture."""
    drawn = draw.cells(np.full((4, 8, 3), 100, dtype=np.uint8), np.array([[0.0, 1.0]], dtype=np.float32))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 2
    assert (drawn[:, :4] == drawn[0, 0]).all()


def test_an_outline_lies_on_the_edges_of_its_box():
    """Of a box 2, 3, 5, 4 drawn at twice the size: edges at 4 and 14, 6 and 14, two pixels wide, white around."""
    drawn = draw.outlined(np.zeros((24, 30, 3), dtype=np.uint8), (2, 3, 5, 4), (2, 2), (9, 8, 7), width=2)
    row = drawn[10, :, 0].tolist()
    assert row[2:7] == [255, 9, 9, 255, 0] and row[12:17] == [0, 255, 9, 9, 255][:5]
    assert drawn[10, 8].tolist() == [0, 0, 0]


def test_an_outline_may_leave_the_picture():
    """The part inside is drawn."""
    drawn = draw.outlined(np.zeros((20, 20, 3), dtype=np.uint8), (-5, -5, 15, 15), (1, 1), (9, 8, 7), width=3)
    assert drawn[3, 10].tolist() == [9, 8, 7] and drawn[15, 15].tolist() == [0, 0, 0]
