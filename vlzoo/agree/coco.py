"""Recall on COCO ids, against the evaluator in the pip package `eccv-caption` (Chun et al. 2022)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.agree.check import Check, Row, Uncovered
from vlzoo.metrics.recall import KS, recall

IMAGES = 1000
"""How many images of the Karpathy 5K test split are ranked; enough to meet every code path, in a second."""

_ROUNDING = 1e-9


def agree(_readme: Path) -> Iterator[Row]:
    """One row a direction: the largest difference of R@1/5/10 in percent, on made-up scores with COCO's ids.

    The fixtures' README names this oracle and holds no figures of its own.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # it recommends another JSON library
            from eccv_caption import Metrics
    except ImportError:
        yield Uncovered("recall/coco", "the package eccv-caption is not installed")
        return
    oracle = Metrics()
    captions_of = dict(sorted(oracle.coco_gts["i2t"].items())[:IMAGES])
    yield from compare(oracle, captions_of)


def compare(oracle: Any, captions_of: dict[int, list[int]], seed: int = 0) -> Iterator[Check]:
    """Rank these images and their captions by random scores, and ask both evaluators.

    Args:
        oracle: an `eccv_caption.Metrics`; what it holds true is narrowed to these images.
        captions_of: COCO image id -> ids of its captions.
        seed: of the scores.
    """
    images = np.array(list(captions_of))
    captions = np.array([caption for owned in captions_of.values() for caption in owned])
    owner_T = np.repeat(np.arange(len(images)), [len(owned) for owned in captions_of.values()])
    oracle.coco_gts = {
        "i2t": captions_of,
        "t2i": {int(text): [int(images[row])] for text, row in zip(captions, owner_T, strict=True)},
    }
    scores_IT = _scores(len(images), owner_T, seed)
    top = max(KS)
    ranked = {
        "i2t": dict(zip(images.tolist(), captions[np.argsort(-scores_IT, axis=1)[:, :top]].tolist(), strict=True)),
        "t2i": dict(zip(captions.tolist(), images[np.argsort(-scores_IT, axis=0)[:top].T].tolist(), strict=True)),
    }
    ours = recall(scores_IT, owner_T)
    for direction, ranks in (("i2t", ours.text), ("t2i", ours.image)):
        theirs = [100.0 * float(oracle.coco_5k_recalls(ranked, "all", K=k)[direction]) for k in KS]
        gap = max(abs(ranks.recall(k) - value) for k, value in zip(KS, theirs, strict=True))
        yield Check(f"recall/coco {direction} against eccv-caption", gap, _ROUNDING, len(ranks.rank))


def _scores(images: int, owner_T: np.ndarray, seed: int) -> np.ndarray:
    """Scores [images, texts] that find the right pair now and then; double precision, so that none are equal."""
    rng = np.random.default_rng(seed)
    scores_IT = rng.standard_normal((images, len(owner_T)))
    scores_IT[owner_T, np.arange(len(owner_T))] += 2.5
    return scores_IT
