"""Texts in groups of like length, against the encoder on all of them at the length of the longest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vlzoo.step.lengths import by_length, encode_by_length, lengths_of

CPU = torch.device("cpu")


def test_lengths_reach_to_the_last_real_token():
    mask = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    assert lengths_of(mask).tolist() == [2, 3, 4, 1]


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        ([25, 11, 12, 10], [([3, 1, 2], 12), ([0], 25)]),  # 61 of 100 tokens
        ([4, 4, 4], [([0, 1, 2], 4)]),
        ([10, 9, 10, 9], [([0, 1, 2, 3], 10)]),  # 38 of 40 are not worth reading weights twice
        ([7], [([0], 7)]),
        ([2, 20, 2, 20], [([0, 2], 2), ([1, 3], 20)]),
    ],
)
def test_groups_by_hand(lengths, groups):
    found = by_length(np.array(lengths), CPU)
    assert [(rows.tolist(), length) for rows, length in found] == groups
    values = torch.tensor(lengths)
    assert torch.equal(found.join([values[rows] for rows in found.rows]), values)


def test_the_split_holds_the_fewest_tokens():
    lengths = np.random.default_rng(0).integers(3, 40, 50)
    held = sum(len(rows) * length for rows, length in by_length(lengths, CPU))
    ordered = np.sort(lengths)
    assert held == min((cut * ordered[cut - 1] + (50 - cut) * ordered[-1]) for cut in range(1, 51))


def test_texts_are_encoded_as_if_all_were_of_one_length(toy):
    text = toy.text([[5, 6, 7, 8, 9, 10, 11, 12], [13], [14, 15], [16]])
    encoder = toy.model().text_encoder
    groups = by_length(lengths_of(text.mask), CPU)
    assert len(groups.rows) == 2
    found, whole = encode_by_length(encoder, text.ids, text.mask, groups), encoder(text.ids, text.mask)
    assert found.x.shape == whole.x.shape and torch.equal(found.mask, whole.mask)
    torch.testing.assert_close(found.x[text.mask], whole.x[text.mask])
    torch.testing.assert_close(found.pooled, whole.pooled)
