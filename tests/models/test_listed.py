"""A list of texts as a prefix tree, against the list itself."""

from __future__ import annotations

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.listed import Listed

TEXTS = [[5, 3], [5, 6, 3], [6, 3], [4, 4, 4, 3], [5, 6, 7, 3]]


def following(begun: list[int]) -> list[int]:
    """What stands behind a beginning in the list, looked up text by text."""
    size = len(begun)
    return sorted({text[size] for text in TEXTS if text[:size] == begun and len(text) > size})


@pytest.mark.parametrize("begun", [[], [5], [5, 6], [4], [4, 4], [5, 3], [7], [9, 9]])
def test_what_may_follow_is_what_stands_in_the_list(begun):
    assert Listed(TEXTS).after(begun) == following(begun)


def test_numbers_of_other_words_become_minus_infinity():
    listed, gain_PV = Listed(TEXTS), torch.arange(30.0).reshape(3, 10)
    node_P = torch.zeros(3, dtype=torch.int64)
    node_P = listed.step(node_P, torch.tensor([5, 4, 8]))  # no text begins with 8
    kept_PV = listed.only(gain_PV, node_P)
    for row, begun in enumerate([[5], [4], [8]]):
        assert kept_PV[row].isfinite().nonzero()[:, 0].tolist() == following(begun)
    assert torch.equal(kept_PV[kept_PV.isfinite()], gain_PV[kept_PV.isfinite()])


@pytest.mark.parametrize(("texts", "said"), [([], "empty"), ([[5], []], "no ids")])
def test_a_list_without_texts_is_refused(texts, said):
    with pytest.raises(VlzooError, match=said):
        Listed(texts)
