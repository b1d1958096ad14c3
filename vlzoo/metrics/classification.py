"""Accuracy over named classes (SNLI-VE), in all and by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vlzoo.errors import DataError

SNLI_VE_CLASSES = ("contradiction", "neutral", "entailment")
"""In ALBEF's order of class numbers 0, 1, 2."""

SNLI_VE_LABELS = ("original", "e-snli-ve-2.0", "e-snli-ve", "scenes", "own")
"""Label sets: necla-ml's own, about 9 % of them wrong; e-SNLI-VE 2.0, which relabels neutral in dev and test; that of
e-ViL, which cleaned them again; the exact ones of Scenes; and `own` for labels that none of these are."""


def correct(labels: Sequence[str], predictions: Sequence[str]) -> NDArray[np.bool_]:
    """True where a prediction is the label, [N].

    Raises:
        DataError: nothing to score, or lengths that differ.
    """
    if not len(labels) or len(labels) != len(predictions):
        raise DataError(f"{len(predictions)} predictions for {len(labels)} labels; one each, and one at least")
    return np.array([said == truth for truth, said in zip(labels, predictions, strict=True)], dtype=bool)


def accuracy_by_class(labels: Sequence[str], right: NDArray[np.bool_]) -> Mapping[str, float]:
    """Share of correct predictions among each class's samples, in percent, classes in alphabetical order."""
    names = np.asarray(labels)
    return {str(name): 100.0 * float(right[names == name].mean()) for name in np.unique(names)}
