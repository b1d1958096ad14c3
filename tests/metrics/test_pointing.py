import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlzoo.metrics.grounding import energy_in_box
from vlzoo.metrics.pointing import box_on_cells, point, stretched, union_box

MAPS = arrays(np.float64, (4, 4), elements=st.floats(0, 1, width=16))
BOXES = st.tuples(*[st.integers(0, 50)] * 2, *[st.integers(1, 60)] * 2)


def one_hot(row, column, value=1.0):
    heat = np.zeros((4, 4))
    heat[row, column] = value
    return heat


def test_a_box_of_half_a_cell_by_hand():
    # Cells of 16 px; the box x 8..24, y 16..32 is the right half of cell (1, 0) and the left half of cell (1, 1).
    inside = box_on_cells((8, 16, 16, 16), (4, 4), (64, 64))
    expected = np.zeros((4, 4))
    expected[1, :2] = 0.5
    assert inside.tolist() == expected.tolist()


def test_every_figure_by_hand():
    inside = box_on_cells((8, 16, 16, 16), (4, 4), (64, 64))
    found = point(3 * one_hot(1, 1) + one_hot(0, 0), inside)
    assert found.touch == 1.0
    assert found.energy == 3 * 0.5 / 4  # three of four parts of the mass, of which half its cell is inside
    assert found.coverage == 0.5  # one of the box's two half cells is above 0.5
    assert found.everywhere == 1 / 16
    assert found.touch_chance == 2 / 16
    assert found.area == 16 * 16 / 64**2


def test_a_peak_beside_the_box_misses_and_equal_peaks_share():
    inside = box_on_cells((0, 0, 16, 16), (4, 4), (64, 64))
    assert point(one_hot(0, 1), inside).touch == 0.0
    assert point(one_hot(0, 1) + one_hot(0, 0), inside).touch == 0.5


@given(box=BOXES)
def test_a_map_that_says_nothing_gives_chance(box):
    inside = box_on_cells(box, (4, 4), (64, 64))
    flat, empty = point(np.full((4, 4), 0.3), inside), point(np.zeros((4, 4)), inside)
    assert flat.touch == empty.touch == flat.touch_chance
    assert flat.energy == pytest.approx(flat.area)
    assert empty.energy == flat.coverage == flat.everywhere == 0.0


@given(heat=MAPS, box=BOXES)
def test_energy_is_that_of_the_map_enlarged_to_pixels(heat, box):
    found = point(heat, box_on_cells(box, (4, 4), (64, 64)))
    assert found.energy == pytest.approx(energy_in_box(np.kron(heat, np.ones((16, 16))), box), abs=1e-12)


@given(heat=MAPS, box=BOXES, factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_a_map_changes_nothing_and_all_are_shares(heat, box, factor):
    inside = box_on_cells(box, (4, 4), (64, 64))
    found = point(heat, inside)
    assert vars(found) == pytest.approx(vars(point(heat * factor, inside)))
    assert all(0 <= value <= 1 + 1e-12 for value in vars(found).values())


@given(box=BOXES)
def test_cells_add_up_to_the_boxs_area_inside_the_picture(box):
    x, y, width, height = box
    area = (min(64, x + width) - x) * (min(48, y + height) - y) if y < 48 else 0
    # 3 x 5 cells of a picture of 64 x 48: no edge falls on a whole pixel.
    assert box_on_cells(box, (3, 5), (64, 48)).mean() * 64 * 48 == pytest.approx(area)


def test_the_whole_picture_holds_everything():
    found = point(np.arange(16.0).reshape(4, 4), box_on_cells((0, 0, 64, 64), (4, 4), (64, 64)))
    assert found.touch == found.energy == found.touch_chance == found.area == 1.0
    assert found.coverage == found.everywhere == 0.5  # 8..15 of 0..15 are above 7.5


def test_union_of_boxes():
    assert union_box([(10, 20, 5, 5), (0, 22, 4, 30)]) == (0, 20, 15, 32)


def test_stretched_by_hand():
    assert stretched([[1.0, 3.0], [2.0, 1.0]]).tolist() == [[0.0, 1.0], [0.5, 0.0]]


def test_shapes_and_places_that_cannot_be():
    with pytest.raises(ValueError, match="cells"):
        point(np.ones((4, 4)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="outside"):
        point(np.ones((4, 4)), box_on_cells((70, 0, 5, 5), (4, 4), (64, 64)))
