"""Which streams a step draws, what it sees of them, and how long an epoch is."""

from __future__ import annotations

import numpy as np
import pytest

from vlzoo.config.schema import Recipe, Train
from vlzoo.data.loader import Order
from vlzoo.train.streams import (
    chances,
    drawn_streams,
    samples_a_step,
    samples_seen,
    steps_an_epoch,
    stream_seed,
)

EACH, ONE = Train(seed=3), Train(seed=3, draw="one")


def recipe(*streams: dict, **train) -> Recipe:
    """A recipe of some streams."""
    named = [{"data": {"part": "scenes"}, **stream} for stream in streams]
    return Recipe.model_validate({"streams": named, "train": train})


XVLM = ({"name": "pairs"}, {"name": "regions", "probability": 0.5, "batch": 32})


def test_each_stream_is_drawn_by_its_own_probability():
    drawn = drawn_streams(EACH, {"a": 1.0, "b": 0.5, "c": 0.25}, 0, 4000)
    assert drawn["a"].all()
    # A share of 4,000 deviates by sqrt(p (1 - p) / 4000) < 0.008.
    assert abs(drawn["b"].mean() - 0.5) < 4 * 0.008
    assert abs(drawn["c"].mean() - 0.25) < 4 * 0.008
    # Independently of each other: both in an eighth of the steps.
    assert abs((drawn["b"] & drawn["c"]).mean() - 0.125) < 4 * 0.008


def test_no_stream_stands_in_for_another():
    """Before, the last one did where none was drawn: 0.7 and 0.3 ran as 0.70 and 0.51."""
    drawn = drawn_streams(EACH, {"a": 0.7, "b": 0.3}, 0, 4000)
    assert abs(drawn["b"].mean() - 0.3) < 4 * 0.008


@pytest.mark.parametrize("scale", [1.0, 0.5, 3.0])
def test_exactly_one_stream_is_drawn_in_proportion(scale):
    drawn = drawn_streams(ONE, {"a": 0.7 * scale, "b": 0.1 * scale, "c": 0.2 * scale}, 0, 4000)
    assert (np.sum(list(drawn.values()), axis=0) == 1).all()
    assert [abs(drawn[name].mean() - share) < 4 * 0.008 for name, share in zip("abc", (0.7, 0.1, 0.2), strict=True)]


@pytest.mark.parametrize("train", [EACH, ONE], ids=["each", "one"])
def test_a_step_draws_the_same_alone_and_in_a_range(train):
    known = {"b": 0.5, "c": 0.25}
    whole = drawn_streams(train, known, 0, 50)
    for step in range(50):
        alone = drawn_streams(train, known, step, step + 1)
        assert {name: each[0] for name, each in alone.items()} == {name: each[step] for name, each in whole.items()}
    assert drawn_streams(train, {"b": 0.5}, 0, 0)["b"].shape == (0,)
    assert not np.array_equal(whole["b"], drawn_streams(train.model_copy(update={"seed": 4}), known, 0, 50)["b"])


def test_a_lone_stream_is_drawn_always():
    alone = Recipe.model_validate({"data": "scenes", "train": {"batch": 16}})
    assert chances(alone) == {"main": 1.0}
    assert drawn_streams(alone.train, chances(alone), 0, 9)["main"].all()
    assert (samples_a_step(alone), samples_seen(alone, 9), steps_an_epoch(alone, [100])) == (16, 144, 6)
    assert stream_seed(alone, "main") == alone.train.seed


def test_samples_are_those_of_the_streams_drawn():
    wanted = recipe(*XVLM, batch=64)
    assert samples_a_step(wanted) == 64 + 0.5 * 32
    regions = int(drawn_streams(wanted.train, chances(wanted), 0, 100)["regions"].sum())
    assert 30 < regions < 70
    assert samples_seen(wanted, 100) == 6400 + 32 * regions
    assert samples_seen(wanted, 0) == 0
    one = recipe({"name": "a", "probability": 0.6}, {"name": "b", "probability": 0.2, "batch": 8}, draw="one", batch=4)
    assert samples_a_step(one) == pytest.approx(0.75 * 4 + 0.25 * 8)


def test_an_epoch_is_the_named_streams_by_its_own_batch():
    """Before, it was the last stream's by `train.batch`: 100 // 64 here."""
    sizes = [1000, 100]
    assert steps_an_epoch(recipe(*XVLM, batch=64, epoch_of="pairs"), sizes) == 1000 // 64
    # Drawn at half of the steps, its 3 batches of 32 take 6.
    assert steps_an_epoch(recipe(*XVLM, batch=64, epoch_of="regions"), sizes) == 6
    one = recipe({"name": "a"}, {"name": "b", "probability": 0.25}, draw="one", batch=10, epoch_of="a")
    assert steps_an_epoch(one, sizes) == 125  # 100 batches, drawn at four of five steps
    # Where nobody is named, all are gone through: pairs take 15 steps, regions 6.
    assert steps_an_epoch(recipe(*XVLM, batch=64, samples=9), sizes) == 1000 // 64


def test_streams_over_the_same_data_do_not_show_the_same_samples():
    """Before, the two streams of a step showed the same samples in the same order."""
    wanted = recipe({"name": "a"}, {"name": "b"})
    seeds = {name: stream_seed(wanted, name) for name in ("a", "b")}
    first = {name: next(iter(Order(1000, 8, seed))) for name, seed in seeds.items()}
    assert seeds["a"] != seeds["b"] and min(seeds.values()) >= 0
    assert first["a"] != first["b"]
    other = recipe({"name": "a"}, {"name": "b"}, seed=1)
    assert stream_seed(other, "a") != seeds["a"]
