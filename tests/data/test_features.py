from __future__ import annotations

import numpy as np
import pytest

from vlzoo.data.features import Features, padded


def regions(scores=(0.3, 0.9, 0.9, 0.1)):
    count = len(scores)
    features, boxes = np.arange(count, dtype=np.float32)[:, None].repeat(2, 1), np.zeros((count, 4), np.float32)
    return Features(features, boxes, tuple("abcd"[:count]), np.array(scores, np.float32), (8, 6))


def test_the_best_regions_come_first_and_equal_ones_in_their_order():
    found = regions().best(least=0.2, most=2)
    assert found.labels == ("b", "c") and found.features[:, 0].tolist() == [1, 2] and found.size == (8, 6)
    assert regions().best(least=0.3).labels == ("b", "c", "a")  # the bound itself counts
    assert regions().best(least=0.95).features.shape == (0, 2)


def test_regions_without_scores_or_labels_stay_as_they_are():
    bare = Features(np.ones((3, 2), np.float32), np.zeros((3, 4), np.float32))
    assert len(bare.best(least=0.5).features) == 3 and bare.best().labels == () and bare.best().scores is None
    assert len(bare.best(most=2).features) == 2


def test_labels_change_nothing_of_what_an_encoder_takes():
    bare = Features(regions().features, regions().boxes)
    one, two = padded([regions(), regions((0.5,))]), padded([bare, Features(bare.features[:1], bare.boxes[:1])])
    assert one.keys() == two.keys() == {"features", "boxes", "mask"}
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert one["mask"].tolist() == [[True] * 4, [True, False, False, False]]


@pytest.mark.parametrize("most", [0, 1])
def test_as_many_as_are_asked_for(most):
    assert len(regions().best(most=most).labels) == most
