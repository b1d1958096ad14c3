"""VQA accuracy by the rules in use; they differ only in how and when an answer is normalised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vlzoo.errors import UnknownName, did_you_mean
from vlzoo.metrics.vqa_text import clean, cut_words, normalise, strip_punctuation

Sides = tuple[list[str], str]
"""The annotators' answers and the prediction, as they are compared."""


def _official(answers: Sequence[str], prediction: str) -> Sides:
    """GT-Vision-Lab/VQA at a013f00: nothing is normalised where all annotators agree."""
    cleaned, said = [clean(answer) for answer in answers], clean(prediction)
    if len(set(cleaned)) == 1:
        return cleaned, said
    return [normalise(answer) for answer in cleaned], normalise(said)


def _albef_2021(answers: Sequence[str], prediction: str) -> Sides:
    """The older copy in ALBEF, X-VLM, TCL and LAVIS: the prediction is fully normalised, answers at most half."""
    said = normalise(clean(prediction))
    if len(set(answers)) == 1:
        return list(answers), said
    return [strip_punctuation(answer) for answer in answers], said


def _always_normalised(answers: Sequence[str], prediction: str) -> Sides:
    """lmms-eval's VQA v2: both sides, always."""
    return [normalise(clean(answer)) for answer in answers], normalise(clean(prediction))


def _textvqa(answers: Sequence[str], prediction: str) -> Sides:
    """TextVQA's evaluator (`TextVQAAccuracyEvaluator` of mmf; lmms-eval's): likewise, but words are cut first."""
    return _always_normalised([cut_words(answer) for answer in answers], cut_words(prediction))


PROTOCOLS: dict[str, Callable[[Sequence[str], str], Sides]] = {
    "official": _official,
    "albef-2021": _albef_2021,
    "always-normalised": _always_normalised,
    "textvqa": _textvqa,
}
"""Protocol name -> what it compares. `official` is the default."""


def accuracy(answers: Sequence[str], prediction: str, protocol: str = "official") -> float:
    """One question's accuracy in percent: the mean over annotators of min(1, matches among the others / 3).

    Args:
        answers: the annotators' answers, ten in VQA v2; at least two.
        prediction: the answer to be scored.
        protocol: a key of `PROTOCOLS`.

    Raises:
        UnknownName: no such protocol.
        ValueError: fewer than two answers, so that nobody is left when one is put aside.
    """
    if protocol not in PROTOCOLS:
        raise UnknownName(f"no VQA protocol called {protocol!r}", fix=did_you_mean(protocol, PROTOCOLS))
    if len(answers) < 2:
        raise ValueError(f"leave-one-out needs at least two answers, got {len(answers)}")
    compared, said = PROTOCOLS[protocol](answers, prediction)
    return _leave_one_out(len(answers), Counter(compared)[said])


def _leave_one_out(annotators: int, matches: int) -> float:
    """Percent, by whole numbers up to one last division: 30, 60 and 90 come out exact."""
    thirds = matches * min(3, matches - 1) + (annotators - matches) * min(3, matches)
    return 100 * thirds / (3 * annotators)


def accuracies(
    answers: Sequence[Sequence[str]], predictions: Sequence[str], protocol: str = "official"
) -> NDArray[np.float64]:
    """`accuracy` of each question, [n] in percent."""
    return np.array(
        [accuracy(truth, said, protocol) for truth, said in zip(answers, predictions, strict=True)], dtype=np.float64
    )
