"""What a process keeps of the groups of rows that it read."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlzoo.data.columns import Held, RowImage

ROWS, BYTES = 4, 1000


@pytest.fixture
def row(tmp_path):
    """A row of a file with 10 groups of four pictures of 1000 bytes."""
    held = pa.table({"image": [bytes([number]) * BYTES for number in range(40)]})
    pq.write_table(held, tmp_path / "a.parquet", row_group_size=ROWS)
    file = str(tmp_path / "a.parquet")
    return lambda group, number, due=ROWS: RowImage(file, group, -1, due, number, "image", "")


def test_groups_stay_while_rows_of_them_are_due(row):
    """Twice the lower bound is due at once, and nothing is read twice: rows come in turns from four groups."""
    held = Held(most=10**6, spare=2 * ROWS * BYTES)
    for number, group in itertools.product(range(ROWS), range(4)):
        assert held.value(row(group, number)).as_py() == bytes([ROWS * group + number]) * BYTES
    assert held.reads == 4


@pytest.mark.parametrize("due", [ROWS, 0])
def test_those_whose_rows_were_all_read_go_above_the_lower_bound(row, due):
    held = Held(most=10**6, spare=2 * ROWS * BYTES + 200)
    for group, number in itertools.product(range(6), range(ROWS)):
        held.value(row(group, number, due))
    held.value(row(5, 0, due))
    assert held.reads == 6
    held.value(row(0, 0, due))
    assert held.reads == 7
    assert len(held._kept) == 2


def test_above_the_bound_the_longest_unasked_go_and_the_newest_stays(row):
    held = Held(most=3 * ROWS * BYTES + 200, spare=0)
    for group in range(5):
        held.value(row(group, 0))
    assert [group for _, group, _ in held._kept] == [2, 3, 4]
    small = Held(most=1, spare=1)
    assert [small.value(row(1, number)).as_py()[0] for number in range(ROWS)] == [4, 5, 6, 7]
    assert small.reads == 1
