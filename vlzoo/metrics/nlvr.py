"""NLVR2 and NLVR: accuracy, and consistency (a sentence counts only if right wherever it is asked).

Facts from lil-lab/nlvr: `nlvr2/eval/metrics.py` and `nlvr/metrics_images.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlzoo.errors import DataError
from vlzoo.metrics.intervals import cluster_codes


@dataclass(frozen=True)
class Judged:
    """Each prediction judged, and the sentence it belongs to.

    Attributes:
        correct: [N].
        sentence: number of its sentence, 0..G-1 in order of first appearance, [N].
    """

    correct: NDArray[np.bool_]
    sentence: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, 0..1; NLVR's script calls it precision."""
        return int(self.correct.sum()) / len(self.correct)

    @property
    def consistent(self) -> NDArray[np.bool_]:
        """True for each sentence whose predictions are all correct, [G]."""
        return np.bincount(self.sentence, weights=~self.correct) == 0

    @property
    def consistency(self) -> float:
        """Share of consistent sentences, 0..1."""
        consistent = self.consistent
        return int(consistent.sum()) / len(consistent)


def nlvr2_sentence(identifier: str) -> str:
    """The sentence group of an NLVR2 identifier `split-set-pair-sentence`: all of it but the pair.

    Raises:
        DataError: fewer than four parts.
    """
    parts = identifier.split("-")
    if len(parts) < 4:
        raise DataError(
            f"{identifier!r} is not an NLVR2 identifier", fix="write split-set-pair-sentence, as dev-850-0-1"
        )
    return "-".join([*parts[:2], *parts[3:]])


def nlvr_sentence(identifier: str) -> str:
    """The sentence of an NLVR identifier `sentence-scene`: the part before the first hyphen."""
    return identifier.split("-")[0]


def judge(correct: Sequence[bool] | NDArray[np.bool_], sentences: Sequence[Hashable]) -> Judged:
    """Judged predictions with their sentences' names, [N] each.

    Raises:
        DataError: no prediction, or lengths that differ.
    """
    if not len(sentences) or len(correct) != len(sentences):
        raise DataError(f"{len(correct)} predictions with {len(sentences)} sentences; one each, and one at least")
    return Judged(np.asarray(correct, dtype=bool), cluster_codes(sentences))
