"""Scores of pictures with classes that are told by texts.

Legend: B pictures, C classes, T texts of all classes, E joint size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vlzoo.bench.pair_scores import match_pairs
from vlzoo.bench.retrieval.features import Encoded
from vlzoo.bench.retrieval.pairs import PairModel
from vlzoo.bench.store import not_finite
from vlzoo.data.records import Sample

AT_ONCE = 256
"""Texts that are matched with a picture in one pass."""


class ClassScores:
    """Scores pictures with classes; the texts are encoded once.

    Args:
        model: what scores.
        texts: the texts of each class, [C].
        protocol: `itc`: the cosine with the mean of a class's unit vectors; `itm`: the mean matching logit.
        batch: texts that are encoded at a time.
    """

    def __init__(self, model: PairModel, texts: Sequence[Sequence[str]], protocol: str, batch: int) -> None:
        self.model, self.protocol = model, protocol
        words = [text for each in texts for text in each]
        parts = [model.texts(words[start : start + batch]) for start in range(0, len(words), batch)]
        self.rows = [row for part in parts for row in part.rows]
        self.class_T = torch.tensor([number for number, each in enumerate(texts) for _ in each])
        self.classes = len(texts)
        embeds = [part.embed.cpu().float() for part in parts if part.embed is not None]
        self.embed_CE = functional.normalize(self._mean(torch.cat(embeds)), dim=-1) if embeds else None

    def _mean(self, value_TX: Tensor) -> Tensor:
        """The mean of each class's texts, [C, X]."""
        sum_CX = torch.zeros(self.classes, value_TX.shape[1]).index_add_(0, self.class_T, value_TX)
        return sum_CX / torch.bincount(self.class_T, minlength=self.classes)[:, None]

    def scores(self, samples: Sequence[Sample]) -> NDArray[np.float32]:
        """Scores of each sample's picture with every class, [B, C].

        Raises:
            PredictionError: one of them is not finite.
        """
        images = self.model.images([sample.images[0] for sample in samples])
        if self.protocol == "itc":
            assert images.embed is not None and self.embed_CE is not None
            score_BC = images.embed.cpu().float() @ self.embed_CE.T
        else:
            score_BC = torch.stack([self._matched(images, row) for row in range(len(samples))])
        for sample, finite in zip(samples, score_BC.isfinite().all(1).tolist(), strict=True):
            if not finite:
                raise not_finite(sample.name)
        found: NDArray[np.float32] = score_BC.numpy()
        return found

    def _matched(self, images: Encoded, row: int) -> Tensor:
        """Mean matching logits of one picture, [C]."""
        texts, every = Encoded(self.rows, None), range(len(self.rows))
        parts = [every[start : start + AT_ONCE] for start in range(0, len(self.rows), AT_ONCE)]
        logit_T = np.concatenate([match_pairs(self.model, images, [row], texts, part)[0] for part in parts])
        return self._mean(torch.from_numpy(logit_T)[:, None])[:, 0]
