"""Picture to picture: what is read of a file."""

from __future__ import annotations

import numpy as np
import pytest

from vlzoo.bench.image_retrieval import ImageRetrieval
from vlzoo.bench.packed import pack
from vlzoo.data.predictions import Refused
from vlzoo.data.records import Sample
from vlzoo.errors import PredictionError


@pytest.mark.parametrize("vector", ["!!!", 3, None, [[1.0], [2.0]]])
def test_what_is_no_vector_is_refused(vector):
    with pytest.raises(Refused, match="not packed float32"):
        ImageRetrieval().row({"name": "a", "vector": vector})


def test_a_plain_list_is_a_vector():
    assert ImageRetrieval().row({"vector": [0.5, 1.0]}) == {"vector": [0.5, 1.0]}


def test_vectors_of_different_lengths_are_refused():
    samples = [Sample(name, group="one") for name in "ab"]
    rows = {name: {"name": name, "vector": pack(np.ones(n, np.float32), "<f4")} for name, n in (("a", 4), ("b", 3))}
    with pytest.raises(PredictionError, match="lengths: 3 and 4"):
        ImageRetrieval().score(samples, rows)
