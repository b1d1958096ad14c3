"""The first stage of retrieval: who is near whom, without a matrix of images by texts.

Legend: Q queries, G gallery, I images, T texts, E joint size, K candidates, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

QUERIES = 256
"""Queries compared at once; fixed, so that no setting changes the last bit of a cosine."""


@dataclass(frozen=True)
class Candidates:
    """The pairs that the second stage scores, each once, by image and then by text.

    Attributes:
        text: text of each pair, [P].
        of_image: True where the text is among its image's nearest, [P].
        of_text: True where the image is among its text's nearest, [P].
        starts: where each image's pairs begin, [I + 1].
        asked: pairs of both directions together; a procedure that scores each direction scores so many.
    """

    text: Ints
    of_image: Bools
    of_text: Bools
    starts: Ints
    asked: int

    def __len__(self) -> int:
        return len(self.text)

    def of(self, image: int) -> slice:
        """The pairs of one image."""
        return slice(int(self.starts[image]), int(self.starts[image + 1]))


def nearest(query_QE: Tensor, gallery_GE: Tensor, k: int) -> Ints:
    """The k rows of the gallery with the largest product for each query, [Q, K], in no order."""
    k = min(k, len(gallery_GE))
    parts = [(part @ gallery_GE.T).topk(k, dim=1).indices.cpu() for part in query_QE.split(QUERIES)]
    return torch.cat(parts).numpy().astype(np.int64)


def candidates(image_IE: Tensor, text_TE: Tensor, k: int) -> Candidates:
    """Both directions' nearest pairs, each pair once (ALBEF's `Retrieval.py` takes k in both directions)."""
    images, texts = len(image_IE), len(text_TE)
    near_IK, near_TK = nearest(image_IE, text_TE, k), nearest(text_TE, image_IE, k)
    of_images = np.sort((np.arange(images)[:, None] * texts + near_IK).ravel())
    of_texts = np.sort((near_TK * texts + np.arange(texts)[:, None]).ravel())
    return _union(of_images, of_texts, images, texts)


def every_pair(images: int, texts: int) -> Candidates:
    """All pairs, in both directions: for a model without a first stage."""
    both = np.arange(images * texts, dtype=np.int64)
    return _union(both, both, images, texts)


def _union(of_images: Ints, of_texts: Ints, images: int, texts: int) -> Candidates:
    pairs = np.union1d(of_images, of_texts)
    return Candidates(
        text=pairs % texts,
        of_image=_among(pairs, of_images),
        of_text=_among(pairs, of_texts),
        starts=np.searchsorted(pairs, np.arange(images + 1) * texts),
        asked=len(of_images) + len(of_texts),
    )


def _among(pairs: Ints, sorted_some: Ints) -> Bools:
    at = np.searchsorted(sorted_some, pairs).clip(max=len(sorted_some) - 1)
    found: Bools = sorted_some[at] == pairs
    return found
