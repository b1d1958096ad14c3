"""A baseline that reads the text and never the picture: what a data set's words give away.

Softmax regression on the presence of words and pairs of neighbouring words, fitted by L-BFGS. Texts repeat a great
deal in generated data, so it is fitted on distinct texts with the counts of their labels; on data with millions of
distinct texts it would be slow.

Legend: T distinct texts, F features, C labels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Labelled = tuple[str, str]
"""A text and its label."""


@dataclass(frozen=True)
class TextOnly:
    """A fitted baseline.

    Attributes:
        features: column of each word and pair of words it knows; the last column is the constant.
        labels: the labels it can give, most frequent first.
        weight: [F, C].
    """

    features: dict[str, int]
    labels: tuple[str, ...]
    weight: Floats

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The likeliest label of each text; of equal ones the more frequent."""
        return [self.labels[best] for best in np.argmax(self.scores(texts), axis=1)]

    def scores(self, texts: Sequence[str]) -> Floats:
        """How well each label fits each text, in the order of `labels`, [T, C]."""
        found: Floats = _matrix(texts, self.features) @ self.weight
        return found


def fit_text_only(train: Sequence[Labelled], *, penalty: float = 1.0, steps: int = 200, rarest: int = 2) -> TextOnly:
    """Fit the baseline; the same rows give the same baseline.

    Args:
        train: texts with their labels; at least one.
        penalty: factor of the weights' squared length, as the inverse of scikit-learn's `C`.
        steps: most iterations of L-BFGS.
        rarest: words and pairs in fewer rows than this are left out.
    """
    counts = Counter(train)
    labels = tuple(label for label, _ in Counter(label for _, label in train).most_common())
    column = {label: place for place, label in enumerate(labels)}
    texts = list(dict.fromkeys(text for text, _ in train))
    row = {text: place for place, text in enumerate(texts)}
    count_TC = np.zeros((len(texts), len(labels)))
    for (text, label), count in counts.items():
        count_TC[row[text], column[label]] = count
    features = _vocabulary(texts, count_TC.sum(1), rarest)
    return TextOnly(features, labels, _fit(_matrix(texts, features), count_TC, penalty, steps))


def text_only(train: Sequence[Labelled], test: Sequence[Labelled]) -> list[float]:
    """1.0 for each test row whose label the baseline fitted on `train` predicts from its text, else 0.0."""
    predicted = fit_text_only(train).predict([text for text, _ in test])
    return [float(label == guess) for (_, label), guess in zip(test, predicted, strict=True)]


def choose_blindly(choices: Sequence[Sequence[str]], fold: Sequence[int]) -> list[float]:
    """How far a reader of the texts alone chooses the right text, of each example.

    What right and wrong texts look like it learns on the other folds.

    Args:
        choices: the texts of each example, the right one first.
        fold: number of each example's fold.

    Returns:
        1 where it chooses the right one, 0 where another; a share of 1 where several are level.
    """
    found = [0.0] * len(choices)
    for number in sorted(set(fold)):
        train = [
            (text, "wrong" if at else "right")
            for texts, each in zip(choices, fold, strict=True)
            if each != number
            for at, text in enumerate(texts)
        ]
        fitted = fit_text_only(train) if train else None
        for row in (row for row, each in enumerate(fold) if each == number):
            found[row] = _share(fitted, choices[row])
    return found


def _share(fitted: TextOnly | None, texts: Sequence[str]) -> float:
    """The share of the first text in what a reader finds best."""
    if fitted is None:
        return 1 / len(texts)
    score_TC = fitted.scores(texts)
    signs = [1.0 if label == "right" else -1.0 for label in fitted.labels]
    score_T = score_TC @ np.array(signs)
    best_T = score_T >= score_T.max() - 1e-12
    return float(best_T[0]) / float(best_T.sum())


def judge_blindly(rows: Sequence[Labelled], fold: Sequence[int]) -> list[float]:
    """1.0 for each text whose label a reader of texts alone predicts that learned on the other folds, else 0.0.

    Args:
        rows: texts with their labels.
        fold: number of each text's fold.
    """
    found = [0.0] * len(rows)
    for number in sorted(set(fold)):
        train = [row for row, each in zip(rows, fold, strict=True) if each != number]
        here = [at for at, each in enumerate(fold) if each == number]
        judged = text_only(train, [rows[at] for at in here]) if train else [0.0] * len(here)
        for at, right in zip(here, judged, strict=True):
            found[at] = right
    return found


def best_constant(labels: Iterable[str]) -> str:
    """The most frequent label, the alphabetically first of equal ones: the best answer that looks at nothing."""
    return min(Counter(labels).items(), key=lambda item: (-item[1], item[0]))[0]


def _grams(text: str) -> set[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {*words, *(f"{one} {two}" for one, two in pairwise(words))}


def _vocabulary(texts: Sequence[str], count_T: Floats, rarest: int) -> dict[str, int]:
    seen: Counter[str] = Counter()
    for text, count in zip(texts, count_T, strict=True):
        seen.update(dict.fromkeys(_grams(text), int(count)))
    return {gram: place for place, gram in enumerate(sorted(gram for gram, count in seen.items() if count >= rarest))}


def _matrix(texts: Sequence[str], features: dict[str, int]) -> csr_matrix:
    """Presence of each feature, and a constant, [T, F]."""
    from scipy.sparse import csr_matrix  # here, as `minimize` below: half a second, and most tasks import this file

    rows, columns = [], []
    for place, text in enumerate(texts):
        known = [features[gram] for gram in _grams(text) if gram in features]
        columns.extend([*sorted(known), len(features)])
        rows.extend([place] * (len(known) + 1))
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(features) + 1))


def _fit(text_TF: csr_matrix, count_TC: Floats, penalty: float, steps: int) -> Floats:
    """Weights [F, C] of least cross-entropy plus `penalty` times half their squared length."""
    from scipy.optimize import minimize

    shape = (text_TF.shape[1], count_TC.shape[1])
    total_T1 = count_TC.sum(1, keepdims=True)

    def loss(flat: Floats) -> tuple[float, Floats]:
        weight = flat.reshape(shape)
        score_TC = text_TF @ weight
        score_TC -= score_TC.max(1, keepdims=True)
        log_TC = score_TC - np.log(np.exp(score_TC).sum(1, keepdims=True))
        gradient = text_TF.T @ (np.exp(log_TC) * total_T1 - count_TC) + penalty * weight
        return float(-(count_TC * log_TC).sum() + penalty / 2 * (weight**2).sum()), gradient.ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return found.x.reshape(shape)
