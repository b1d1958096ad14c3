"""Learning curves: what is drawn of a log, where, and what is left out."""

import math
import re

import numpy as np
import pytest

from vlzoo.report.curves import BANDS, BOTTOM, BUCKETS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Logged, curves, thinned

ROWS = [
    {"step": step, "samples": 8 * step, "time": 1.0, "lr": 1e-3, "itc": 4.0 - step / 100, "acc": 0.5}
    for step in range(1, 101)
]


def logged(rows, name="a", number=0):
    return Logged(name, number, rows, losses=["itc"])


def panels(found):
    return {(group["name"], panel["name"]): panel for group in found for panel in group["panels"]}


def places(path):
    """The points of a path."""
    return [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_figures_are_grouped_and_losses_come_first():
    rows = [*ROWS, {"step": 100, "time": 2.0, "validation/accuracy": 71.0}]
    found = curves([logged([{**row, "samples_per_s": 9.0, "memory_gb": 1.0} for row in rows])])
    assert [(group["name"], group["open"]) for group in found] == [
        ("loss", True),
        ("validation", True),
        ("learning rate", True),
        ("other figures", False),
        ("speed and memory", False),
    ]
    assert [panel["name"] for panel in found[4]["panels"]] == ["samples_per_s", "memory_gb"]


def test_a_loss_of_a_stream_is_a_loss_and_one_of_validation_is_not():
    rows = [{"step": 1, "pairs/itc": 4.0, "texts/itc": 5.0, "pairs/temperature": 0.1, "validation/itc": 3.0}]
    found = {group["name"]: [panel["name"] for panel in group["panels"]] for group in curves([logged(rows)])}
    assert found == {
        "loss": ["pairs/itc", "texts/itc"],
        "validation": ["itc"],
        "other figures": ["pairs/temperature"],
    }


def test_a_line_lies_within_its_drawing_and_runs_share_the_steps():
    short = [{**row, "itc": 1.0} for row in ROWS[:50]]
    panel = panels(curves([logged(ROWS), logged(short, "b", 1)]))["loss", "itc"]
    first, second = (places(line["path"]) for line in panel["lines"])
    for x, y in [*first, *second]:
        assert LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM
    assert first[-1][0] == WIDTH - RIGHT  # step 100 of 100
    assert second[-1][0] == pytest.approx(LEFT + (WIDTH - RIGHT - LEFT) / 2)  # step 50 of 100
    assert [y for _, y in first] == sorted(y for _, y in first)  # a loss that falls goes down the page
    assert [line["style"] for line in panel["lines"]] == ["run-0 dash-0", "run-1 dash-1"]
    assert [line["last"] for line in panel["lines"]] == ["3", "1"]


def test_pointing_at_a_place_tells_every_run():
    panel = panels(curves([logged(ROWS), logged([{**row, "itc": 1.0} for row in ROWS], "b", 1)]))["loss", "itc"]
    assert len(panel["bands"]) == BANDS
    assert panel["bands"][0]["told"] == "step 1\na: 3.99\nb: 1"
    assert panel["bands"][-1]["told"] == "step 100\na: 3\nb: 1"
    widths = [float(band["width"]) for band in panel["bands"]]
    assert sum(widths) == pytest.approx(WIDTH - RIGHT - LEFT, abs=0.1 * BANDS)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.5", True, [1.0]])
def test_what_is_no_finite_number_is_left_out(value):
    panel = panels(curves([logged([*ROWS[:3], {"step": 4, "itc": value}])]))["loss", "itc"]
    assert len(places(panel["lines"][0]["path"])) == 3


@pytest.mark.parametrize("rows", [[], [{}], [{"step": "one", "itc": 1.0}], [{"step": 1}]])
def test_a_log_without_figures_has_no_curves(rows):
    assert curves([logged(rows)]) == []


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-12, 1e12])
def test_a_flat_line_and_a_single_step(value):
    for rows in ([{"step": 0, "itc": value}], [{"step": 1, "itc": value}, {"step": 2, "itc": value}]):
        panel = panels(curves([logged(rows)]))["loss", "itc"]
        assert all(TOP <= y <= HEIGHT - BOTTOM for _, y in places(panel["lines"][0]["path"]))
        assert len(panel["lines"][0]["dots"]) == len(rows)


def test_a_long_line_keeps_its_jumps_and_its_ends():
    values = np.random.default_rng(0).normal(size=20_000)
    values[7_777], values[13_131] = 50.0, -50.0
    points = list(enumerate(values.tolist()))
    kept = thinned(points)
    assert len(kept) <= 2 * BUCKETS + 2
    assert {points[0], points[7_777], points[13_131], points[-1]} <= set(kept)
    assert kept == sorted(kept)
