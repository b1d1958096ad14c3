"""Figures of retrieval with more right answers than a caption's own picture: ECCV Caption, CxC.

Legend: I images, T texts, Q queries, G gallery, R right answers of a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.bench.pictures import pictures
from vlzoo.bench.retrieval.matrices import Captions, depth
from vlzoo.data.positives import Ids, Positives
from vlzoo.errors import DataError
from vlzoo.metrics.figures import Figures, Score
from vlzoo.metrics.positives import rank_several
from vlzoo.metrics.recall import KS

Queries = tuple[list[int], list[NDArray[np.int64]]]
"""Rows of the queries [Q], and columns of the right answers of each, [Q] of [R]."""


def ids_of(samples: Any) -> tuple[list[str], list[str]]:
    """COCO's ids of the pictures [I] and of the texts [T], as their rows and columns stand.

    Raises:
        DataError: the data do not tell them.
    """
    listed = list(pictures(samples)) if hasattr(samples, "fingerprint") else list(samples)
    images = [sample.image_id for sample in listed]
    told = [sample.fields.get("text_ids", ()) for sample in listed]
    if any(image is None for image in images) or any(len(t) != len(s.texts) for t, s in zip(told, listed, strict=True)):
        fix = "they are those of `coco` (Karpathy's json, by pictures); in an npz give image_ids and text_ids"
        raise DataError("right answers are told by COCO's ids, which these data do not have", fix=fix)
    texts = [str(name) for each in told for name in each]
    columns = [column for sample in listed for column in sample.fields.get("columns", ())]
    if columns:
        texts = [texts[at] for at in np.argsort(columns)]
    return [str(image) for image in images], texts


def positive_scores(
    found: Positives,
    figures: Figures,
    samples: Any,
    captions: Captions,
    scores: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[list[Score], str]:
    """mAP@R, R-Precision and recalls of both directions, the sum of the recalls, and what is said of them.

    Args:
        found: the right answers.
        figures: makes figures.
        samples: the data.
        captions: which text belongs to which picture.
        scores: [I, T] and [T, I].

    Raises:
        DataError: the data do not tell COCO's ids, or not one query is among them.
    """
    images, texts = ids_of(samples)
    sides = (_queries(images, found.captions, texts), _queries(texts, found.images, images))
    owners = (images, [images[row] for row in captions.owners])
    made, counts = list[Score](), [len(rows) for rows, _ in sides]
    if not all(counts):
        what = f"not one query of {found.name} is among these pictures and texts"
        raise DataError(what, fix="it is about the Karpathy test split of COCO: --data coco --split test")
    for side, queries, matrix, own in zip(("TR", "IR"), sides, scores, owners, strict=True):
        made += _direction(f"{found.name} {side}", figures, matrix, queries, [own[row] for row in queries[0]])
    recalls = [score.value for score in made if " R@" in score.metric]
    if len(recalls) == 2 * len(KS):
        made.append(figures.derived(f"{found.name} rSum", sum(recalls), sum(counts)))
    return made, f"{found.name}: {counts[0]} pictures and {counts[1]} texts have right answers; a tie is a miss"


def _queries(queries: Sequence[str], answers: Ids, gallery: Sequence[str]) -> Queries:
    """The queries with right answers that are in the gallery."""
    place = {name: at for at, name in enumerate(gallery)}
    rows, right = list[int](), list[NDArray[np.int64]]()
    for row, name in enumerate(queries):
        at = sorted(place[each] for each in answers.get(name, ()) if each in place)
        if at:
            rows.append(row)
            right.append(np.array(at))
    return rows, right


def _direction(
    name: str, figures: Figures, matrix: NDArray[np.float64], queries: Queries, owners: Sequence[str]
) -> Iterable[Score]:
    rows, right = queries
    several, deep = rank_several([matrix[row] for row in rows], right), depth(matrix)
    if deep is None or max(map(len, right)) <= deep:  # else what the first stage left out may stand among the first R
        yield figures.mean(f"{name} mAP@R", 100.0 * several.average_precision(), owners)
        yield figures.mean(f"{name} R-P", 100.0 * several.r_precision(), owners)
    for k in KS:
        if deep is None or k <= deep:
            yield figures.hits(f"{name} R@{k}", several.hits(k), owners)
