"""What is told of a picture's texts, from embeddings and from pairs."""

from __future__ import annotations

import numpy as np
import pytest

from vlzoo.bench.packed import pack
from vlzoo.bench.retrieval.matrices import Captions, matrices, texts_of_picture
from vlzoo.bench.retrieval.task import Retrieval
from vlzoo.data.records import Sample


@pytest.mark.parametrize("how", ["itm", "itm+itc", "itc"])
def test_a_pictures_scores_are_its_row_of_the_matrix(predicted, sources, how):
    rows, captions = predicted("retrieval", protocol=how), Captions.of(sources["retrieval"])
    scores_of = texts_of_picture(captions.names, captions.texts, rows, how)
    scores_IT, _ = matrices(captions.names, captions.texts, rows, how)
    for at, name in enumerate(captions.names):
        np.testing.assert_allclose(scores_of(name), scores_IT[at], atol=1e-6)


def two_pictures(cosines):
    """Pictures `a` and `b` with two texts each, and the first one's cosines of all four, as rows of predictions."""
    source = [Sample("a", texts=("a0", "a1")), Sample("b", texts=("b0", "b1"))]
    images, texts = np.eye(2), np.array(cosines)
    rows = {
        sample.name: {
            "embedding": pack(images[at], "<f4"),
            "text_embeddings": pack(np.stack([texts[2 * at : 2 * at + 2], [0, 1]], axis=1).ravel(), "<f4"),
        }
        for at, sample in enumerate(source)
    }
    return source, rows


@pytest.mark.parametrize(
    ("cosines", "said", "right", "truth"),
    [
        ([0.9, 0.1, 0.5, 0.2], "a0", 100.0, ("a0", "a1")),
        ([0.1, 0.9, 0.5, 0.2], "a1", 100.0, ("a1", "a0")),
        ([0.1, 0.2, 0.5, 0.9], "b1", 0.0, ("a1", "a0")),
        ([0.5, 0.2, 0.1, 0.5], "b1", 0.0, ("a0", "a1")),  # a tie is a miss, and the text that was level is told
    ],
)
def test_the_text_that_a_picture_finds_is_told(cosines, said, right, truth):
    source, rows = two_pictures(cosines)
    task = Retrieval(protocol="itc")
    told = task.told(source, rows)(source[0])
    assert (told.said, told.right, told.truth, told.caption) == (said, right, truth, truth[0])
    assert task.score(source, rows).scores[0].value == (right + task.told(source, rows)(source[1]).right) / 2
