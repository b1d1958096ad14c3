"""The box loss against arithmetic by hand, and what must not happen to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from vlzoo_xvlm.box import Box

from vlzoo.batch import View
from vlzoo.errors import VlzooError
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step

BOXES = torch.tensor([[0.5, 0.5, 1.0, 1.0], [0.25, 0.25, 0.5, 0.5], [0.5, 0.75, 0.2, 0.1], [0.9, 0.9, 0.2, 0.2]])


def step_of(toy, regions, boxes=BOXES, **options):
    torch.manual_seed(0)
    made = toy.system({"box": Box(**options)})
    rows = replace(
        toy.batch(4),
        views={"whole": View(rows=torch.arange(4))},
        extra={"box": boxes, "is_region": torch.tensor(regions)},
    )
    objective = made.named_objectives()["box"]
    return Step(rows, made.model, plan=Plan(main_image=("whole",)).gather({"box": objective})), objective


def literal(found, wanted):
    """L1 and 1 - GIoU of one box, in plain numbers (Rezatofighi et al., CVPR 2019, algorithm 1)."""
    a, b = ((x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in (found, wanted))
    wide, high = max(0.0, min(a[2], b[2]) - max(a[0], b[0])), max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    meet = wide * high
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - meet
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return sum(abs(p - q) for p, q in zip(found, wanted, strict=True)), 1 - (meet / union - (hull - union) / hull)


def test_the_loss_is_the_mean_over_regions(toy):
    step, box = step_of(toy, [False, True, True, True])
    loss = box(step)
    pairs = [literal(f.tolist(), w.tolist()) for f, w in zip(box.boxes(step).double(), BOXES.double(), strict=True)][1:]
    l1, giou = (sum(values) / 3 for values in zip(*pairs, strict=True))
    assert loss.each[0].mean.item() == pytest.approx(l1, abs=1e-5)
    assert loss.each[1].mean.item() == pytest.approx(giou, abs=1e-5)
    assert [int(term.count) for term in loss.each] == [3, 3]
    assert loss.total.item() == pytest.approx(l1 + giou, abs=1e-5)


def test_no_region_gives_zero_with_a_gradient(toy):
    step, box = step_of(toy, [False] * 4)
    loss = box(step).total
    loss.backward()
    assert loss.item() == 0.0 and all(p.grad is None or p.grad.abs().sum() == 0 for p in box.parameters())


def test_whole_pictures_count_where_that_is_said(toy):
    step, box = step_of(toy, [False] * 4, whole_pictures=True)
    assert box(step).total.item() > 0 and int(box(step).each[0].count) == 4


def test_one_swapped_box_silences_the_batch_only_in_the_official_form(toy):
    swapped = BOXES.clone()
    swapped[2, 2] = -0.2
    step, box = step_of(toy, [True] * 4, swapped, degenerate="drop-batch")
    assert box(step).each[1].mean.item() == 0.0
    step, box = step_of(toy, [True] * 4, swapped)
    plain, same = step_of(toy, [True] * 4)
    # Corners in order: the box with swapped sides is the box.
    assert box(step).each[1].mean.item() == pytest.approx(same(plain).each[1].mean.item(), abs=1e-6)


def test_rows_without_boxes_are_told(toy):
    made = toy.system({"box": Box()})
    step = Step(toy.batch(4), made.model)
    with pytest.raises(VlzooError, match="no boxes"):
        made.named_objectives()["box"](step)


def test_in_evaluation_boxes_are_found_in_the_picture_of_a_row(toy):
    made = toy.system({"box": Box()})
    found = made.named_objectives()["box"].boxes(Step(toy.batch(3), made.model))
    assert found.shape == (3, 4) and ((found > 0) & (found < 1)).all()


def test_an_option_of_another_value_is_refused():
    with pytest.raises(VlzooError, match="degenerate can't be 'dropped'"):
        Box(degenerate="dropped")
