"""The first update with a loss that is not finite is found, whether each is looked at or many at once."""

from __future__ import annotations

import pytest
import torch

from vlzoo.errors import TrainingError
from vlzoo.train.finite import FiniteLosses
from vlzoo.types import Loss, Losses

HOST, ELSEWHERE = torch.device("cpu"), torch.device("cuda")


def losses(**totals: float) -> Losses:
    made = {name: Loss(torch.tensor(total)) for name, total in totals.items()}
    return Losses(made, torch.zeros(()))


def test_on_the_host_each_update_is_looked_at():
    watch = FiniteLosses(HOST)
    watch.note(losses(itm=1.0), step=4, samples=["a"])
    with pytest.raises(TrainingError, match="the loss of objective 'itm' is inf at step 5"):
        watch.note(losses(itm=float("inf")), step=5, samples=["b"])


def test_elsewhere_the_first_of_many_is_named():
    """The earliest update, whatever came after it or stands before it among the objectives."""
    watch = FiniteLosses(ELSEWHERE)
    for step, (itc, itm) in enumerate([(1.0, 1.0), (1.0, float("-inf")), (float("nan"), float("nan")), (1.0, 1.0)]):
        watch.note(losses(itc=itc, itm=itm), step=step, samples=[f"{step}.{row}" for row in range(9)])
    with pytest.raises(TrainingError, match="the loss of objective 'itm' is -inf at step 1") as found:
        watch.check()
    assert ", ".join(f"1.{row}" for row in range(8)) + ", ..." in str(found.value)
    assert "1.8" not in str(found.value)


def test_two_streams_of_one_step_are_told_apart_by_their_samples():
    watch = FiniteLosses(ELSEWHERE)
    watch.note(losses(itm=1.0), step=7, samples=["pair"])
    watch.note(losses(itm=float("nan")), step=7, samples=["region"])
    with pytest.raises(TrainingError, match="samples region"):
        watch.check()


def test_a_stream_is_named_where_there_are_several():
    watch = FiniteLosses(ELSEWHERE)
    watch.note(losses(itm=1.0), step=7, samples=["pair"], stream="pairs")
    watch.note(losses(itm=float("nan")), step=7, samples=["region"], stream="regions")
    with pytest.raises(TrainingError, match="the loss of objective 'itm' of stream 'regions' is nan at step 7"):
        watch.check()


def test_what_was_looked_at_is_forgotten():
    watch = FiniteLosses(ELSEWHERE)
    watch.note(losses(itm=1.0), step=0, samples=["a"])
    watch.check()
    watch.note(losses(itm=float("nan")), step=1, samples=["b"])
    with pytest.raises(TrainingError, match="at step 1"):
        watch.check()
    watch.check()
