"""The order of batches, and mistakes met by data workers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.data.loader import Order, Place, endless
from vlzoo.errors import DataError, TrainingError


def first(order: Order, count: int) -> list[list[Place]]:
    return list(itertools.islice(order, count))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99), st.integers(0, 20))
def test_an_epoch_holds_each_sample_at_most_once_and_any_start_goes_on_alike(samples, batch, seed, start):
    if batch > samples:
        with pytest.raises(TrainingError, match=f"a batch of {batch} is larger than the data: {samples} samples"):
            Order(samples, batch, seed)
        return
    order = Order(samples, batch, seed)
    whole = first(order, start + 2 * order.per_epoch)
    assert first(Order(samples, batch, seed, start), 2 * order.per_epoch) == whole[start:]
    for epoch in range(2):
        seen = [place for rows in whole[epoch * order.per_epoch : (epoch + 1) * order.per_epoch] for place in rows]
        assert len(seen) == len(set(seen)) == samples // batch * batch
        assert {place.epoch for place in seen} == {epoch}
        assert {place.sample for place in seen} <= set(range(samples))
    # Batches are numbered through all epochs, from wherever a run goes on.
    assert [{place.batch for place in rows} for rows in whole] == [{number} for number in range(len(whole))]


def test_epochs_and_seeds_have_orders_of_their_own():
    order = first(Order(30, 30, 1), 2)
    assert [place.sample for place in order[0]] != [place.sample for place in order[1]]
    assert first(Order(30, 30, 2), 1) != order[:1]


@dataclass
class Reader:
    """A reader that fails at one index."""

    broken: int

    def __getitem__(self, place):
        if place[1] == self.broken:
            raise DataError("the picture is damaged", where="x.png", fix="download it again")
        return place[1]

    def __len__(self):
        return 12


def collate(items, number):
    return list(items)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_workers_mistake_is_the_same_error_here(workers):
    order = Order(12, 3, 0)
    (at,) = [n for n, rows in enumerate(first(order, 4)) if any(place.sample == 5 for place in rows)]
    batches = endless(Reader(5), collate, order, workers=workers)
    for _ in range(at):
        next(batches)
    with pytest.raises(DataError) as caught:
        next(batches)
    assert str(caught.value) == "x.png: the picture is damaged\n  -> download it again"
