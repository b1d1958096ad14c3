"""Recall@k between images and their captions, in both directions.

Legend: I images, T texts. TR, text retrieval: an image looks for any of its captions. IR, image retrieval: a text
looks for its one image. The rule is that of ALBEF's `Retrieval.py::itm_eval`: an image's rank is that of its best
caption. Nothing of size [I, T] is made beside the scores: comparisons go block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlzoo.errors import DataError, UnknownName, did_you_mean

Scores = NDArray[np.floating] | NDArray[np.integer]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

KS = (1, 5, 10)
"""The cut-offs that the field reports."""

KARPATHY_SIZES = {"coco": (5000, 25010), "flickr30k": (1000, 5000)}
"""Images and captions of the Karpathy test splits."""

TIES = ("strict", "argsort")
"""How a tie is settled. `strict`: it is a miss. `argsort`: as `numpy.argsort(scores)[::-1]` happens to order it,
the rule behind published numbers; its order among equal scores is numpy's own and may change with the machine."""

_CELLS = 4_000_000


@dataclass(frozen=True)
class Ranks:
    """Where each query found its first right answer; 0 is the top.

    Attributes:
        rank: under the tie rule, [queries]; the gallery's size where a query has no right answer at all.
        tied: True where a wrong answer scores exactly as the best right one, [queries].
        best: rank if every tie were settled in the query's favour, [queries].
        worst: rank if every tie went against it, [queries].
    """

    rank: Ints
    tied: Bools
    best: Ints
    worst: Ints

    def hits(self, k: int) -> Bools:
        """True where a right answer is among the first `k`, [queries]."""
        return self.rank < k

    def recall(self, k: int) -> float:
        """R@k in percent."""
        return 100.0 * int(self.hits(k).sum()) / len(self.rank)


@dataclass(frozen=True)
class Recall:
    """Both directions.

    Attributes:
        text: TR, one rank an image.
        image: IR, one rank a text.
    """

    text: Ranks
    image: Ranks

    def figures(self) -> dict[str, float]:
        """`TR R@1` ... `IR R@10` in percent, the mean of each direction, and the mean recall of both."""
        found: dict[str, float] = {}
        for name, ranks in (("TR", self.text), ("IR", self.image)):
            recalls = [ranks.recall(k) for k in KS]
            found |= {f"{name} R@{k}": recall for k, recall in zip(KS, recalls, strict=True)}
            found[f"{name} mean"] = sum(recalls) / len(KS)
        found["mean recall"] = (found["TR mean"] + found["IR mean"]) / 2
        return found

    @property
    def ties(self) -> int:
        """How many queries of both directions a tie touches."""
        return int(self.text.tied.sum() + self.image.tied.sum())


def recall(
    scores: ArrayLike, image_of_text: ArrayLike, *, scores_of_texts: ArrayLike | None = None, ties: str = "strict"
) -> Recall:
    """Ranks of both directions.

    Args:
        scores: how well image and text fit, [I, T]; -inf (or a common low value) where they were not scored.
        image_of_text: row of the image each text belongs to, [T].
        scores_of_texts: [T, I], where the second stage scored other pairs for texts than for images.
        ties: one of `TIES`.

    Raises:
        DataError: shapes that do not fit, NaN, or an image number outside 0..I-1.
        UnknownName: no such tie rule.
    """
    scores_IT, owner_T = np.asarray(scores), np.asarray(image_of_text)
    check_scores(scores_IT, owner_T, ties)
    if scores_of_texts is None:
        return Recall(text_ranks(scores_IT, owner_T, ties), image_ranks(scores_IT, owner_T, ties))
    scores_TI = np.asarray(scores_of_texts)
    if scores_TI.shape != scores_IT.shape[::-1]:
        raise DataError(
            f"scores are {scores_IT.shape} and scores of texts {scores_TI.shape}: one must be the other's turn"
        )
    check_scores(scores_TI.T, owner_T, ties)
    return Recall(text_ranks(scores_IT, owner_T, ties), image_ranks(scores_TI.T, owner_T, ties))


def text_ranks(scores_IT: Scores, owner_T: Ints, ties: str = "strict") -> Ranks:
    """TR: for each image, the rank of its best caption, [I]. An image without captions is a miss."""
    own_T = scores_IT[owner_T, np.arange(len(owner_T))]
    best_I = np.full(len(scores_IT), _lowest(scores_IT.dtype), dtype=scores_IT.dtype)
    np.maximum.at(best_I, owner_T, own_T)
    own_at_best_I = np.bincount(owner_T[own_T == best_I[owner_T]], minlength=len(best_I))
    above_I = np.empty(len(best_I), dtype=np.int64)
    level_I = np.empty_like(above_I)
    for rows in _blocks(scores_IT):
        above_I[rows] = (scores_IT[rows] > best_I[rows, None]).sum(1)
        level_I[rows] = (scores_IT[rows] == best_I[rows, None]).sum(1)
    has_text = np.bincount(owner_T, minlength=len(best_I)) > 0
    tied_I = has_text & (level_I > own_at_best_I)
    worst_I = above_I + level_I - own_at_best_I
    rank_I = worst_I.copy()
    if ties == "argsort":
        for image in np.flatnonzero(tied_I):
            order = np.argsort(scores_IT[image])[::-1]
            rank_I[image] = np.flatnonzero(owner_T[order] == image)[0]
    rank_I[~has_text] = above_I[~has_text] = worst_I[~has_text] = len(owner_T)
    return Ranks(rank_I, tied_I, above_I, worst_I)


def image_ranks(scores_IT: Scores, owner_T: Ints, ties: str = "strict") -> Ranks:
    """IR: for each text, the rank of its image, [T]."""
    own_T = scores_IT[owner_T, np.arange(len(owner_T))]
    above_T = np.zeros(len(owner_T), dtype=np.int64)
    level_T = np.zeros_like(above_T)
    for rows in _blocks(scores_IT):
        above_T += (scores_IT[rows] > own_T).sum(0)
        level_T += (scores_IT[rows] == own_T).sum(0)
    tied_T = level_T > 1
    worst_T = above_T + level_T - 1
    rank_T = worst_T.copy()
    if ties == "argsort":
        for text in np.flatnonzero(tied_T):
            order = np.argsort(np.ascontiguousarray(scores_IT[:, text]))[::-1]
            rank_T[text] = np.flatnonzero(order == owner_T[text])[0]
    return Ranks(rank_T, tied_T, above_T, worst_T)


def check_karpathy(split: str, images: int, texts: int) -> None:
    """Assert the sizes of a Karpathy test split.

    Raises:
        UnknownName: `split` is not in `KARPATHY_SIZES`.
        DataError: other sizes.
    """
    if split not in KARPATHY_SIZES:
        raise UnknownName(f"no Karpathy split of {split!r}", fix=did_you_mean(split, KARPATHY_SIZES))
    if (images, texts) != KARPATHY_SIZES[split]:
        wanted = "{} images and {} texts".format(*KARPATHY_SIZES[split])
        raise DataError(f"{images} images and {texts} texts are not the Karpathy test split of {split}: {wanted}")


def check_scores(scores_IT: Scores, owner_T: Ints, ties: str = "strict") -> None:
    """Refuse a matrix that no recall can be read from.

    Raises:
        DataError: shapes that do not fit, NaN, or an image number outside 0..I-1.
        UnknownName: no such tie rule.
    """
    if ties not in TIES:
        raise UnknownName(f"no tie rule called {ties!r}", fix=did_you_mean(ties, TIES))
    numbers = np.issubdtype(scores_IT.dtype, np.floating) or np.issubdtype(scores_IT.dtype, np.integer)
    if scores_IT.ndim != 2 or 0 in scores_IT.shape or not numbers:
        raise DataError(f"scores must be numbers [images, texts], got {scores_IT.dtype} {list(scores_IT.shape)}")
    if owner_T.shape != scores_IT.shape[1:] or not np.issubdtype(owner_T.dtype, np.integer):
        wanted = f"one whole number for each of {scores_IT.shape[1]} texts"
        raise DataError(f"image_of_text must hold {wanted}, got {owner_T.dtype} {list(owner_T.shape)}")
    if owner_T.min() < 0 or owner_T.max() >= len(scores_IT):
        wrong = owner_T[(owner_T < 0) | (owner_T >= len(scores_IT))]
        raise DataError(f"image_of_text names {len(wrong)} images outside 0..{len(scores_IT) - 1}, first {wrong[0]}")
    _refuse_nan(scores_IT)


def _refuse_nan(scores_IT: Scores) -> None:
    bad = [(rows.start, np.isnan(scores_IT[rows])) for rows in _blocks(scores_IT)]
    count = sum(int(block.sum()) for _, block in bad)
    if count:
        start, block = next((start, block) for start, block in bad if block.any())
        row, column = np.argwhere(block)[0]
        raise DataError(
            f"{count} scores are NaN, first at image {start + row}, text {column}",
            fix="leave pairs that were not scored at -inf",
        )


def _lowest(kind: np.dtype) -> float | int:
    """What no score of this kind lies below."""
    return -np.inf if np.issubdtype(kind, np.floating) else int(np.iinfo(kind).min)


def _blocks(scores_IT: Scores) -> Iterator[slice]:
    """Slices of rows of about `_CELLS` cells."""
    step = max(1, _CELLS // max(scores_IT.shape[1], 1))
    for start in range(0, len(scores_IT), step):
        yield slice(start, min(start + step, len(scores_IT)))
