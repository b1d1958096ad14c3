"""Blocks of features on disk: whole or absent, shared without a word, taken over from the dead."""

from __future__ import annotations

import multiprocessing
import os
import socket

import numpy as np
import pytest
import torch

from vlzoo.bench.retrieval.features import Encoded, Features, TextRows
from vlzoo.errors import PredictionError


def rows_of(start: int, end: int) -> Encoded:
    """Row i has 1 + i % 3 tokens, each the number i in two columns."""
    rows = [torch.full((1 + i % 3, 2), float(i)) for i in range(start, end)]
    return Encoded(rows, torch.arange(start, end).float()[:, None])


def never(start: int, end: int) -> Encoded:
    raise AssertionError(f"rows {start} to {end} were encoded again")


def test_rows_come_back_as_they_were(tmp_path):
    made = Features(tmp_path / "f", 10, 4, rows_of)
    assert list(made.make()) == [4, 8, 10]
    assert made.lengths().tolist() == [1 + i % 3 for i in range(10)]
    for row in range(10):
        np.testing.assert_array_equal(made.row(row), np.full((1 + row % 3, 2), float(row)))
    assert made.embeddings().squeeze(1).tolist() == list(range(10))


def test_what_is_there_is_not_made_again(tmp_path):
    list(Features(tmp_path, 10, 4, rows_of).make())
    assert list(Features(tmp_path, 10, 4, never).make()) == [4, 8, 10]


def test_a_kill_keeps_the_blocks_that_were_finished(tmp_path):
    def dying(start: int, end: int) -> Encoded:
        if start == 4:
            raise KeyboardInterrupt
        return rows_of(start, end)

    with pytest.raises(KeyboardInterrupt):
        list(Features(tmp_path, 10, 4, dying).make())
    seen = []

    def counting(start: int, end: int) -> Encoded:
        seen.append(start)
        return rows_of(start, end)

    assert not list(tmp_path.glob("*.begun")), "others may wait for the block, and this process may live on"
    list(Features(tmp_path, 10, 4, counting).make())
    assert seen == [4, 8]


def test_a_block_that_a_dead_process_began_is_taken_over(tmp_path):
    child = multiprocessing.get_context("spawn").Process(target=print)
    child.start()
    child.join()
    (tmp_path / "block-00000.begun").write_text(f"{socket.gethostname()} {child.pid}")
    assert list(Features(tmp_path, 3, 4, rows_of).make()) == [3]


def test_a_block_that_another_process_makes_is_waited_for(tmp_path, monkeypatch):
    """The parent process lives: its claim stands until its block is there."""
    (tmp_path / "block-00000.begun").write_text(f"{socket.gethostname()} {os.getppid()}")
    waits = []

    def other_finishes(_seconds: float) -> None:
        waits.append(1)
        (tmp_path / "block-00000.begun").unlink()
        list(Features(tmp_path, 3, 4, rows_of).make())

    monkeypatch.setattr("vlzoo.bench.retrieval.features.time.sleep", other_finishes)
    assert list(Features(tmp_path, 3, 4, never).make()) == [3]
    assert waits == [1]


def test_each_process_makes_its_own_blocks_first(tmp_path):
    seen = []

    def counting(start: int, end: int) -> Encoded:
        seen.append(start // 2)
        return rows_of(start, end)

    list(Features(tmp_path, 8, 2, counting).make((1, 2)))
    assert seen == [1, 3, 0, 2]


@pytest.mark.parametrize("room", [0, 10**6])
def test_texts_are_padded_with_a_mask_wherever_they_are_read_from(tmp_path, room):
    made = Features(tmp_path, 10, 4, rows_of)
    list(made.make())
    texts = TextRows(made, torch.device("cpu"), room)
    assert (texts.held is None) == (room == 0)
    x_PLW, mask_PL = texts.take(np.array([8, 3, 1]))
    assert mask_PL.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    for row, at in enumerate((8, 3, 1)):
        assert x_PLW[row][mask_PL[row]].unique().tolist() == [float(at)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PredictionError, match="features"):
        list(Features(tmp_path / "file" / "f", 3, 4, rows_of).make())
