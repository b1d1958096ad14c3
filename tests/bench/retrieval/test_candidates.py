"""The first stage against a dense reference, and what the second stage is asked for."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlzoo.bench.retrieval.candidates import candidates, every_pair, nearest


def dense(image_IE: torch.Tensor, text_TE: torch.Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Both directions' top k as dense matrices [I, T], by argsort."""
    cosine = (image_IE @ text_TE.T).numpy()
    of_image, of_text = np.zeros_like(cosine, dtype=bool), np.zeros_like(cosine, dtype=bool)
    for row in range(cosine.shape[0]):
        of_image[row, np.argsort(-cosine[row])[:k]] = True
    for column in range(cosine.shape[1]):
        of_text[np.argsort(-cosine[:, column])[:k], column] = True
    return of_image, of_text


@given(images=st.integers(1, 9), texts=st.integers(1, 40), k=st.integers(1, 12), seed=st.integers(0, 99))
def test_both_directions_and_their_union(images, texts, k, seed):
    generator = torch.Generator().manual_seed(seed)
    image_IE, text_TE = torch.randn(images, 4, generator=generator), torch.randn(texts, 4, generator=generator)
    found, (of_image, of_text) = candidates(image_IE, text_TE, k), dense(image_IE, text_TE, k)
    for image in range(images):
        at = found.of(image)
        assert found.text[at].tolist() == np.flatnonzero(of_image[image] | of_text[image]).tolist()
        assert found.of_image[at].tolist() == of_image[image][found.text[at]].tolist()
        assert found.of_text[at].tolist() == of_text[image][found.text[at]].tolist()
    assert found.asked == of_image.sum() + of_text.sum()


def test_every_pair_is_asked_for_in_both_directions():
    found = every_pair(3, 4)
    assert len(found) == 12 and found.asked == 24
    assert found.of_image.all() and found.of_text.all()


def test_k_larger_than_the_gallery_takes_all_of_it():
    assert nearest(torch.eye(3), torch.eye(2, 3), 9).shape == (3, 2)
