"""Boxes that look at no picture: what grounding is worth without a model.

Legend: T boxes of training, C candidates, O objects of a picture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vlzoo.data.records import Sample
from vlzoo.metrics.grounding import box_hits

CANDIDATES = 2000


def fixed_box(truth_T4: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """The box of training data that most of them would count as found, x, y, width, height.

    Args:
        truth_T4: boxes of training expressions.
        seed: of the 2,000 that are tried, where there are more.
    """
    rng = np.random.default_rng(seed)
    tried_C = rng.choice(len(truth_T4), size=min(CANDIDATES, len(truth_T4)), replace=False)
    found_C = [box_hits(truth_T4[place], truth_T4).mean() for place in tried_C]
    return truth_T4[tried_C[int(np.argmax(found_C))]]


def boxes_of(samples: Iterable[Sample]) -> NDArray[np.float64]:
    """The box of each expression, [T, 4]."""
    return np.array([sample.regions[0].box for sample in samples])


def by_fixed_box(box_4: NDArray[np.float64], expressions: Sequence[Sample]) -> NDArray[np.float64]:
    """100 where a box is right for an expression, else 0."""
    return 100.0 * box_hits(box_4, boxes_of(expressions)).astype(np.float64)


def by_random_object(expressions: Sequence[Sample], pictures: Iterable[Sample]) -> NDArray[np.float64]:
    """The share of its picture's objects that are right for each expression, in percent: the mean over all draws.

    Args:
        expressions: what is measured.
        pictures: pictures with all their objects.
    """
    known: dict[str, list[Sequence[float]]] = defaultdict(list)
    for picture in pictures:
        known[str(picture.image_id)] += [region.box for region in picture.regions]
    shares = []
    for each in expressions:
        objects_O4 = np.array(known[str(each.image_id)])
        shares.append(100.0 * box_hits(objects_O4, each.regions[0].box).mean())
    return np.array(shares)
