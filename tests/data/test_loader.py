"""The order of batches, and mistakes met by data workers."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.augment.plain import Plain
from vlzoo.data.collate import Reader as SourceReader
from vlzoo.data.loader import Order, Place, endless
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, TrainingError, VlzooError
from vlzoo.processes import Share


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


@given(st.integers(1, 7), st.integers(7, 20))
def test_processes_cut_the_batches_of_one(of, batch):
    """However many there are, and where a run was: the same samples in the same batches."""
    whole = first(Order(45, batch, 1), 5)
    cut = [first(Order(45, batch, 1, share=Share(number, of)), 5) for number in range(of)]
    assert [[place for part in parts for place in part] for parts in zip(*cut, strict=True)] == whole
    assert first(Order(45, batch, 1, 3, Share(of - 1, of)), 2) == cut[-1][3:]


def test_a_batch_that_is_too_small_for_its_processes_is_refused():
    with pytest.raises(TrainingError, match="a batch of 3 can't be cut for 4 processes"):
        Order(45, 3, 1, share=Share(0, 4))


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

    def read_ahead(self, places):
        pass


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


class Refusing(list):
    """A source that says no where it is asked for its third sample."""

    def __getitem__(self, index):
        if index == 2:
            raise VlzooError("the service is closed today", where="sample 2", fix="come back tomorrow")
        return Sample(str(index))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_mistake_of_another_kind_met_while_reading_ahead_is_one_too(workers):
    reader = SourceReader(Refusing(range(4)), Plain(size=8), Numbers())
    batches = endless(reader, collate, Order(4, 4, 0), workers=workers)
    with pytest.raises(VlzooError) as caught:
        next(batches)
    assert str(caught.value) == "sample 2: the service is closed today\n  -> come back tomorrow"
    assert type(caught.value) is VlzooError


class Numbers:
    """Items that are what the source gave."""

    def make(self, sample, visit):
        return sample


def workers() -> set[int]:
    return {each.pid for each in multiprocessing.active_children()}


def test_workers_are_deaf_to_requests_to_end_and_end_when_the_generator_is_closed():
    before = workers()
    batches = endless(Reader(-1), collate, Order(12, 3, 0), workers=2)
    seen = [next(batches)]
    started = workers() - before
    assert len(started) == 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        for pid in started:
            os.kill(pid, number)
    seen += [next(batches) for _ in range(40)]  # more than had been read ahead
    alone = itertools.islice(endless(Reader(-1), collate, Order(12, 3, 0)), 41)
    assert seen == list(alone)
    began = time.monotonic()
    batches.close()
    assert not started & workers()
    assert time.monotonic() - began < 3  # torch waits five seconds for workers that do not end


def test_workers_end_though_the_batches_are_still_held_by_an_error():
    before = workers()
    batches = endless(Reader(5), collate, Order(12, 3, 0), workers=2)
    with pytest.raises(DataError) as caught:
        list(batches)
    assert caught.tb
    until = time.monotonic() + 5
    while workers() - before and time.monotonic() < until:
        time.sleep(0.01)
    assert not workers() - before


PROGRAM = """
from vlzoo.data.loader import Order, endless

class Reader:
    def __getitem__(self, place):
        return place
    def __len__(self):
        return 8
    def read_ahead(self, places):
        pass

batches = endless(Reader(), lambda items, number: len(items), Order(8, 4, 0), workers=2)
print(next(batches))
"""


def test_a_program_that_closes_nothing_ends():
    made = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (made.returncode, made.stdout, made.stderr) == (0, "4\n", "")
