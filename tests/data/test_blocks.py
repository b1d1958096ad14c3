"""The order of records that are read in blocks, and mixtures of them."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.data import columns
from vlzoo.data.blocks import Blocks, blocks_of, checked
from vlzoo.data.derived import Half, OfPictures
from vlzoo.data.loader import Order, endless
from vlzoo.data.mixture import Mixture
from vlzoo.data.readers.stream import Stream
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.processes import Share


@dataclass
class Lying:
    """A source whose records lie in blocks."""

    name: str
    lengths: list[int]
    buffer: int = 8
    lanes: tuple[int, int] = (2, 2)
    pairing: str = "pair"
    licence: str = "none"

    def __len__(self):
        return sum(self.lengths)

    def __getitem__(self, index):
        return Sample(f"{self.name}{index}", texts=(f"{self.name} {index}",), image_id=f"{self.name}{index}")

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def blocks(self, epoch=0):
        return Blocks(np.cumsum(self.lengths), self.buffer, *self.lanes)

    def fingerprint(self):
        return self.name


@dataclass
class Plain(Lying):
    """The same, read in any order."""

    lengths: list[int] = field(default_factory=lambda: [10])
    blocks = None


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=30)
lanes = st.tuples(st.integers(1, 4), st.integers(1, 5))


@settings(deadline=None, max_examples=150)
@given(lengths, st.integers(1, 200), lanes, st.integers(1, 40), st.integers(0, 2**32))
def test_an_epoch_is_every_record_once_and_depends_on_the_generator_alone(lengths, buffer, lanes, batch, seed):
    blocks = Blocks(np.cumsum(lengths), buffer, *lanes)
    order = blocks.order(np.random.default_rng(seed), batch)
    assert sorted(order.tolist()) == list(range(sum(lengths)))
    assert order.tolist() == blocks.order(np.random.default_rng(seed), batch).tolist()


def test_what_lies_near_is_read_near():
    """Of 40 blocks of 50, at any time a lane holds the few that its window covers."""
    blocks = Blocks(np.arange(50, 2001, 50), 200, 2, 2)
    order = blocks.order(np.random.default_rng(0), batch=8)
    read = [set((order[start : start + 80] // 50).tolist()) for start in range(0, 1600, 80)]
    assert max(len(each) for each in read) <= 4 * 3  # 4 lanes; 20 records of windows of 50 touch at most 3 blocks
    assert len({tuple(sorted(each)) for each in read}) > 5
    first = [set((order[start : start + 40] // 50).tolist()) for start in (0, 40)]
    assert len(first[0]) < 40  # no full shuffle


@pytest.mark.parametrize(("workers", "processes"), [(1, 1), (2, 1), (1, 2), (2, 2), (2, 4)])
def test_where_lanes_divide_evenly_nobody_shares_a_block(workers, processes):
    samples, batch = 3200, 16
    blocks = Blocks(np.arange(20, samples + 1, 20), 320, 2, 4)
    full = 0.9 * samples / batch  # what is left over at the end is shared
    read: dict[int, set[tuple[int, int]]] = {}
    for number in range(processes):
        order = Order(samples, batch, 3, share=Share(number, processes), blocks=lambda epoch: blocks)
        for k, places in enumerate(itertools.islice(order, int(full))):
            for place in places:
                read.setdefault(place.sample // 20, set()).add((number, k % workers))
    assert len(read) > 0.85 * samples / 20
    assert {len(readers) for readers in read.values()} == {1}


DEFAULTS = {name: each.default for name, each in inspect.signature(Stream).parameters.items()}
LANES = (DEFAULTS["worker_lanes"], DEFAULTS["process_lanes"])


class Groups:
    """Groups of rows that are read from nowhere: pictures of 100 kB each."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.column = pa.chunked_array([pa.array([b""] * rows)])

    nbytes = property(lambda self: 100_000 * self.rows)

    def __getitem__(self, row):
        return self.column[row]


def reads_of(blocks: Blocks, records: int, rows: int, workers: int, monkeypatch) -> float:
    """How often a row group is read in an epoch by all workers of one process, in the mean."""
    monkeypatch.setattr(columns, "_read", lambda *_: Groups(rows))
    places = list(itertools.islice(Order(records, 256, 0, blocks=lambda epoch: blocks), records // 256))
    reads = 0
    for worker in range(workers):
        held = columns.Held(most=2**32)
        for place in itertools.chain.from_iterable(places[worker::workers]):
            group, row = divmod(place.sample, rows)
            held.value(columns.RowImage("a.parquet", group, -1, rows, row, "image", ""))
        reads += held.reads
        assert sum(kept.column.nbytes for kept in held._kept.values()) <= 2**32
    return reads * rows / records


@pytest.mark.parametrize("rows", [100, 1000])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_row_group_is_read_about_once_at_the_defaults(rows, workers, monkeypatch):
    """40,000 pictures of 100 kB: more than is held at any time."""
    records = 40_000
    blocks = Blocks(np.arange(rows, records + 1, rows), DEFAULTS["buffer"], *LANES)
    assert 1 <= reads_of(blocks, records, rows, workers, monkeypatch) < 1.5


@pytest.mark.parametrize("count", [1, 3, 8, 20, 40, 100, 1000])
def test_little_is_left_for_the_end_of_an_epoch_however_few_the_blocks(count):
    blocks = Blocks(np.arange(1000, 1000 * count + 1, 1000), min(DEFAULTS["buffer"], 500 * count), *LANES)
    groups, slices = blocks.lanes(64)
    assert LANES[0] % groups == LANES[1] % slices == 0
    order = blocks.order(np.random.default_rng(0), 64)
    # As long as the lanes of two groups and slices are apart, no block is in both.
    seen: dict[int, set[tuple[int, int]]] = {}
    within = int(0.85 * len(order)) // (64 * groups) * groups
    for number, batch in enumerate(order[: within * 64].reshape(within, 64)):
        for place, record in enumerate(batch):
            seen.setdefault(record // 1000, set()).add((number % groups, place * slices // 64))
    assert {len(lanes) for lanes in seen.values()} == {1}


@settings(deadline=None, max_examples=60)
@given(lengths, st.integers(1, 200), lanes, st.integers(1, 40))
def test_there_are_as_many_lanes_as_asked_for_or_a_divisor(lengths, buffer, lanes, batch):
    blocks = Blocks(np.cumsum(lengths), buffer, *lanes)
    groups, slices = blocks.lanes(batch)
    assert lanes[0] % groups == 0
    assert slices <= min(lanes[1], batch)
    if groups * slices > 1:
        assert groups * slices * max(lengths) * 8 <= sum(lengths)
        assert groups * slices * max(lengths) <= 2 * buffer


def test_many_small_blocks_have_all_the_lanes():
    assert Blocks(np.arange(100, 1_000_001, 100), DEFAULTS["buffer"], *LANES).lanes(256) == LANES


def test_a_buffer_that_holds_all_shuffles_all():
    blocks = Blocks(np.array([50, 100]), 100, 4, 8)
    order = blocks.order(np.random.default_rng(1), 10)
    assert order.tolist() == np.random.default_rng(1).permutation(100).tolist()


@settings(deadline=None, max_examples=60)
@given(lengths, st.integers(1, 60), lanes, st.integers(1, 12), st.integers(0, 30), st.integers(1, 4))
def test_any_start_and_any_number_of_processes_go_on_alike(lengths, buffer, lanes, batch, start, of):
    samples = sum(lengths)
    if samples < batch or batch < of:
        return
    order = partial(Order, samples, batch, 5, blocks=lambda epoch: Blocks(np.cumsum(lengths), buffer, *lanes))
    whole = list(itertools.islice(order(), start + 6))
    assert list(itertools.islice(order(start=start), 6)) == whole[start:]
    cut = [list(itertools.islice(order(start=start, share=Share(number, of)), 6)) for number in range(of)]
    assert [list(itertools.chain(*parts)) for parts in zip(*cut, strict=True)] == whole[start:]
    seen = [place.sample for places in itertools.islice(order(), samples // batch) for place in places]
    assert len(seen) == len(set(seen)) == samples // batch * batch


class Reader:
    """Places as they come."""

    def __getitem__(self, place):
        return place

    def __len__(self):
        return 90

    def read_ahead(self, places):
        pass


@pytest.mark.parametrize("processes", [1, 2])
def test_workers_and_processes_change_nothing(processes):
    blocks = Blocks(np.arange(5, 91, 5), 20, 2, 2)

    def batches(workers, start=0):
        made = []
        for number in range(processes):
            order = Order(90, 8, 0, start, Share(number, processes), lambda epoch: blocks)
            found = endless(Reader(), lambda items, number: list(items), order, workers=workers)
            made.append(list(itertools.islice(found, 14 - start)))  # an epoch has 11
            found.close()
        return [list(itertools.chain(*parts)) for parts in zip(*made, strict=True)]

    whole = itertools.islice(Order(90, 8, 0, blocks=lambda epoch: blocks), 14)
    alone = [[(each.epoch, each.sample) for each in places] for places in whole]
    assert batches(0) == batches(1) == batches(3) == alone
    assert batches(3, start=9) == alone[9:]


@settings(deadline=None, max_examples=60)
@given(lengths, st.integers(1, 40), st.floats(0.05, 2.5), st.integers(0, 5), st.integers(1, 9))
def test_a_mixture_shows_all_of_a_stream_before_any_comes_again(lengths, other, weight, seed, batch):
    mixture = Mixture({"a": Lying("a", lengths), "b": Plain("b", [other])}, {"a": weight}, seed=seed)
    shown = dict.fromkeys(range(sum(lengths)), 0)
    for epoch in range(4):
        blocks = blocks_of(mixture, epoch)
        assert blocks is not None
        assert blocks.ends[-1] == len(mixture)
        assert (np.diff(blocks.ends, prepend=0) > 0).all()
        order = blocks.order(np.random.default_rng([seed, epoch]), batch)
        assert sorted(order.tolist()) == list(range(len(mixture)))
        for index in order:
            part, record = mixture.place(epoch, int(index))
            if part == "a":
                shown[record] += 1
        assert max(shown.values()) - min(shown.values()) <= 1


def test_a_mixture_keeps_blocks_whole():
    mixture = Mixture({"a": Lying("a", [5] * 40), "b": Lying("b", [7] * 10)}, {"a": 0.5})
    blocks = mixture.blocks(1)
    for start, end in itertools.pairwise([0, *blocks.ends.tolist()]):
        places = [mixture.place(1, index) for index in range(start, end)]
        size = 5 if places[0][0] == "a" else 7
        assert len({(part, record // size) for part, record in places}) == 1
        assert [record for _, record in places] == list(range(places[0][1], places[0][1] + len(places)))
    assert mixture.blocks(0).ends.tolist() == blocks.ends.tolist()  # 100 of 200: whole blocks in both
    assert Mixture({"b": Plain("b")}).blocks(0) is None


def test_halves_and_shares_of_pictures_have_the_blocks_of_what_they_take():
    source = Lying("a", [5, 5, 5, 5])
    assert Half(source, "images").blocks().ends.tolist() == [5, 10, 15, 20]
    assert Half(source, "texts").blocks() is None  # they lie in the index
    part = OfPictures(source, 0.0, 0.5)
    ends = part.blocks().ends.tolist()
    assert ends[-1] == len(part)
    assert [len({part.rows[row] // 5 for row in range(a, b)}) for a, b in itertools.pairwise([0, *ends])] == [1] * len(
        ends
    )
    assert OfPictures(Plain("b"), 0.0, 0.5).blocks() is None


def test_numbers_that_make_no_order_are_named():
    with pytest.raises(DataError, match="`worker_lanes` is 0, expected 1 or more"):
        checked(10, 0, 8, "stream/train")
