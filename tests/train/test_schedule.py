"""Learning rates and the soft weight against official tables and closed forms."""

from __future__ import annotations

import json
import math

import pytest

from vlzoo.config.schema import Teacher, Train
from vlzoo.errors import UnknownName
from vlzoo.train.schedule import Length, learning_rate, length_of, soft_weight


@pytest.mark.parametrize("name", ["pretrain", "vqa", "retrieval_flickr"])
def test_albef_2021_is_the_official_table(shared, name):
    # goldens/albef_misc.json: printed by ALBEF's own scheduler, run as its training loops run it.
    table = json.loads((shared / "goldens/albef_misc.json").read_text())["schedules"][name]
    config, batch, per_epoch = table["config"], 4, 2500
    warm = 100 * config["warmup_epochs"]
    train = Train(
        epochs=float(config["epochs"]),
        batch=batch,
        lr=config["lr"],
        min_lr=config["min_lr"],
        warmup_lr=config["warmup_lr"],
        warmup_samples=warm * batch,
        schedule="albef-2021",
    )
    length = length_of(train, per_epoch)
    assert learning_rate(train, 0, length) == table["lr_before_first_step"]
    # The rate set at the end of iteration 100 k is that of the next hundred iterations.
    for k, expected in enumerate(table["lr_at_iter_0_100_200.."]):
        for step in (100 * k + 1, 100 * k + 100):
            assert learning_rate(train, step, length) == pytest.approx(expected, rel=1e-12)
    assert learning_rate(train, per_epoch - 1, length) == pytest.approx(config["lr"])
    for epoch, expected in enumerate(table["lr_epoch_1.."], start=1):
        for step in (epoch * per_epoch, (epoch + 1) * per_epoch - 1):
            assert learning_rate(train, step, length) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("scaling", "factor"), [("linear", 4.0), ("sqrt", 2.0)])
@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant", "albef-2021"])
def test_rates_for_another_batch_are_scaled_throughout(schedule, scaling, factor):
    rates = {"lr": 1e-3, "min_lr": 1e-4, "warmup_lr": 1e-5, "warmup_samples": 80, "batch": 32, "schedule": schedule}
    written, scaled = Train(**rates), Train(**rates, lr_batch=8, lr_scaling=scaling)
    for step in range(0, 110, 7):
        expected = factor * learning_rate(written, step, LENGTH)
        assert learning_rate(scaled, step, LENGTH) == pytest.approx(expected, rel=1e-12)
    assert learning_rate(Train(**rates, lr_batch=32), 50, LENGTH) == learning_rate(written, 50, LENGTH)


LENGTH = Length(steps=110, per_epoch=50, batch=8)


@pytest.mark.parametrize(
    ("schedule", "middle", "near_end"),
    [
        # Half way both stand between lr and min_lr: (1 + 0.2) / 2.
        ("cosine", 0.6, 0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * 0.99))),
        ("linear", 0.6, 1 - 0.8 * 0.99),
        ("constant", 1.0, 1.0),
    ],
)
def test_after_the_warm_up(schedule, middle, near_end):
    train = Train(batch=8, lr=1.0, min_lr=0.2, warmup_lr=0.1, warmup_samples=80, schedule=schedule)
    rates = [learning_rate(train, step, LENGTH) for step in range(110)]
    # Ten updates from 0.1 towards 1.
    assert rates[:10] == pytest.approx([0.1 + 0.09 * step for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(middle)
    assert rates[109] == pytest.approx(near_end)


def test_a_schedule_that_there_is_not():
    with pytest.raises(UnknownName, match=r"no schedule called 'cosin'(.|\n)*did you mean 'cosine'"):
        learning_rate(Train(schedule="cosin"), 0, LENGTH)


def test_lengths_are_in_samples():
    assert length_of(Train(samples=1000, batch=64), 10).steps == 15
    assert length_of(Train(samples=10, batch=64), 10).steps == 1
    assert length_of(Train(epochs=2.5), 10).steps == 25
    assert length_of(Train(), 10) == Length(10, 10, 64)
    # Several streams see 10.4 samples a step on average: 8, and 4 at six of ten steps.
    assert length_of(Train(samples=104), 10, 8 + 0.6 * 4) == Length(10, 10, 10)
    assert length_of(Train(samples=103), 10, 8 + 0.6 * 4).steps == 9


def test_the_soft_weight_ramps_over_the_first_epoch():
    # ALBEF `Pretrain.py`: alpha * min(1, i / len(loader)) in epoch 0, alpha after.
    teacher = Teacher(alpha=0.4, ramp_epochs=1.0)
    assert [soft_weight(teacher, step, LENGTH) for step in (0, 25, 50, 109)] == pytest.approx([0.0, 0.2, 0.4, 0.4])
    assert soft_weight(Teacher(alpha=0.4, ramp_epochs=0.0), 0, LENGTH) == 0.4
    assert soft_weight(None, 5, LENGTH) == 0.0
