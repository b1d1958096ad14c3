"""Schedules and rules of weight decay that break a promise are refused."""

from __future__ import annotations

import math

import pytest

from vlzoo.testing import (
    ContractError,
    check_decay,
    check_schedule,
    training,
)
from vlzoo.testing.imports import does_no_work_at_import


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (lambda train, step, length: train.lr / step if step else math.inf, "gives inf at step 0 of 1"),
        (lambda train, step, length: -train.lr, "gives -0.5 at step 0 of 1"),
        (lambda train, step, length: train.lr * step / (length.steps - 1), "fails in a run of 1 steps"),
    ],
)
def test_a_broken_schedule_is_refused(refused, rate, said):
    assert said in refused(training.gives_a_rate, "schedule", rate)
    with pytest.raises(ContractError):
        check_schedule(rate)


def test_a_broken_rule_of_decay_is_refused(refused):
    assert "says 3 of image_encoder.position" in refused(
        training.says_yes_or_no, "decay", lambda name, parameter: parameter.ndim
    )
    with pytest.raises(ContractError, match="fails on"):
        check_decay(lambda name: True)


def test_every_check_is_shown_to_fail():
    assert (training.gives_a_rate, does_no_work_at_import) == training.SCHEDULE
    assert (training.says_yes_or_no, does_no_work_at_import) == training.DECAY
