"""What a model must beat: the best constant answer, and a reader of the text that never sees a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from vlzoo.bench.text_only import best_constant, fit_text_only
from vlzoo.data.records import Sample
from vlzoo.task import Task
from vlzoo.types import Row


@dataclass(frozen=True)
class Baselines:
    """Accuracy in percent on the test samples, scored as the model is.

    Attributes:
        constant: of the best constant answer of the training samples.
        text_only: of a logistic regression on words and word pairs.
    """

    constant: float
    text_only: float


def baselines(task: Task, train: Any, test: Any) -> Baselines:
    """Both baselines of a task whose samples have a label or answers.

    Args:
        task: scores them as it scores a model.
        train: the data the baselines are fitted on.
        test: the data they are measured on.
    """
    rows = [(_text(sample), _target(sample)) for sample in train]
    constant = best_constant(target for _, target in rows)
    samples = list(test)
    guesses = fit_text_only(rows).predict([_text(sample) for sample in samples])
    scores = [
        task.score(test, {s.name: _row(s, said) for s, said in zip(samples, answers, strict=True)}).scores[0]
        for answers in ([constant] * len(samples), guesses)
    ]
    return Baselines(scores[0].value, scores[1].value)


def _text(sample: Sample) -> str:
    return sample.texts[0] if sample.texts else ""


def _target(sample: Sample) -> str:
    """The label, or the answer most annotators gave (ties: the first one given)."""
    if sample.answers:
        return Counter(sample.answers).most_common(1)[0][0]
    return str(sample.label)


def _row(sample: Sample, said: str) -> Row:
    return {"name": sample.name, "answer": said, "prediction": said}


def chance_recall(images: int, texts: Sequence[int], k: int = 1) -> tuple[float, float]:
    """R@k by drawing lots, in percent: of text retrieval and of image retrieval.

    >>> chance_recall(2, [1, 3], k=2)
    (75.0, 100.0)

    Args:
        images: size of the pool of pictures.
        texts: number of captions of each picture.
        k: how many are drawn.
    """
    total, drawn = sum(texts), min(k, sum(texts))
    missed = sum(comb(total - count, drawn) / comb(total, drawn) for count in texts)
    return 100.0 * (1 - missed / images), 100.0 * min(k, images) / images
