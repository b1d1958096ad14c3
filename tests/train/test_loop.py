"""Which streams a step draws."""

from __future__ import annotations

import numpy as np

from vlzoo.train.loop import drawn_streams


def test_shares_and_the_stand_in():
    drawn = drawn_streams(3, {"a": 1.0, "b": 0.5, "c": 0.25}, 0, 4000)
    assert drawn["a"].all()
    # A share of 4,000 deviates by sqrt(p (1 - p) / 4000) < 0.008.
    assert abs(drawn["b"].mean() - 0.5) < 4 * 0.008
    assert abs(drawn["c"].mean() - 0.25) < 4 * 0.008
    lone = drawn_streams(3, {"b": 0.1, "c": 0.1}, 0, 500)
    assert (lone["b"] | lone["c"]).all()
    # `c` stands in where neither is drawn: 0.9 of the steps without `b`, and 0.1 of all.
    assert abs(lone["c"].mean() - (0.81 + 0.1)) < 4 * 0.02


def test_a_step_draws_the_same_alone_and_in_a_range():
    whole = drawn_streams(3, {"b": 0.5, "c": 0.25}, 0, 50)
    for step in range(50):
        alone = drawn_streams(3, {"b": 0.5, "c": 0.25}, step, step + 1)
        assert {name: each[0] for name, each in alone.items()} == {name: each[step] for name, each in whole.items()}
    assert drawn_streams(3, {"b": 0.5}, 0, 0)["b"].shape == (0,)
    assert not np.array_equal(whole["b"], drawn_streams(4, {"b": 0.5, "c": 0.25}, 0, 50)["b"])
