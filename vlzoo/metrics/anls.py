"""ANLS, the average normalised Levenshtein similarity of ST-VQA (Biten et al., ICCV 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
"""What is less like an answer counts nothing."""


def anls(answers: Sequence[Sequence[str]], predictions: Sequence[str]) -> NDArray[np.float64]:
    """Each question's similarity to the nearest of its answers, in percent, [n].

    As the evaluation of ST-VQA's challenge computes it: in lower case, runs of white space as one blank; a similarity
    of exactly a half counts, which the paper's formula leaves out.

    >>> anls([["stop sign", "stop"]], ["Stop  signs"]).round(1).tolist()
    [90.0]

    Args:
        answers: the answers of each question, one at least.
        predictions: what was said.
    """
    likest = [max(_similarity(each, said) for each in truth) for truth, said in zip(answers, predictions, strict=True)]
    return np.array([100.0 * like if like >= THRESHOLD else 0.0 for like in likest])


def _similarity(one: str, other: str) -> float:
    one, other = _plain(one), _plain(other)
    longest = max(len(one), len(other))
    return 1.0 - _distance(one, other) / longest if longest else 1.0


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _distance(one: str, other: str) -> int:
    """Fewest letters to put in, take out or change (Levenshtein 1966)."""
    above = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        left = [row]
        for column, another in enumerate(other, start=1):
            left.append(min(above[column] + 1, left[-1] + 1, above[column - 1] + (letter != another)))
        above = left
    return above[-1]
