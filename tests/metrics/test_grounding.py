import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.errors import UnknownName
from vlzoo.metrics.grounding import best_box, box_hits, energy_in_box, iou, pointing_hit

BOXES = st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(2, 30)] * 2)


@pytest.mark.parametrize("golden", ["xvlm_bbox_swin", "xvlm_bbox_vit"])
def test_computeiou_of_xvlm(shared, golden):
    for one, other, overlap in json.loads((shared / "goldens" / f"{golden}.json").read_text())["computeIoU"]:
        assert iou(one, other)[0] == pytest.approx(overlap, abs=1e-12)


@given(one=BOXES, other=BOXES)
def test_both_rules_are_symmetric_bounded_and_agree_unless_a_pixel_or_less_is_shared(one, other):
    pixel, plain = iou(one, other)[0], iou(one, other, "continuous")[0]
    assert pixel == iou(other, one)[0] and 0 <= pixel <= 1
    shared_sides = [min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    if min(shared_sides) > 1:
        assert pixel == pytest.approx(plain)
    elif min(shared_sides) <= 0:
        assert pixel == plain == 0
    else:
        assert pixel == 0 < plain


@given(one=BOXES)
def test_a_box_is_itself(one):
    assert iou(one, one)[0] == iou(one, one, "continuous")[0] == 1


def test_half_is_enough_and_empty_boxes_hit_nothing():
    assert box_hits([[0, 0, 10, 10]], [[0, 0, 10, 5]]).tolist() == [True]
    assert box_hits([[0, 0, 10, 10]], [[0, 0, 10, 4]]).tolist() == [False]
    assert iou([0, 0, 0, 0], [0, 0, 0, 0]).tolist() == [0]


def test_unknown_rule():
    with pytest.raises(UnknownName, match="pixel"):
        iou([0, 0, 1, 1], [0, 0, 1, 1], "pixels")


def test_maps():
    heat = np.zeros((10, 20))
    heat[4, 15] = 3.0
    heat[0, 0] = 1.0
    heat[9, 9] = -5.0
    assert pointing_hit(heat, (15, 4, 1, 1))
    assert not pointing_hit(heat, (0, 0, 10, 10))
    assert pointing_hit(heat, (0, 0, 10, 10), tolerance=6)
    assert energy_in_box(heat, (10, 0, 10, 10)) == 0.75
    assert energy_in_box(np.zeros((3, 3)), (0, 0, 3, 3)) == 0
    assert energy_in_box(heat, (-5, -5, 6, 6)) == 0.25


def test_best_box_weighs_by_the_root_of_the_area():
    heat = np.zeros((10, 10))
    heat[2:4, 2:4] = 1
    assert best_box(heat, [(0, 0, 10, 10), (2, 2, 2, 2), (5, 5, 2, 2)]) == 1  # 0.4, 2.0, 0
