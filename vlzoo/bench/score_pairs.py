"""Scoring sentences about pictures: NLVR2, NLVR and SNLI-VE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.bench.predictions import Refused, collect, fingerprint, read_rows, text_id
from vlzoo.bench.score_base import Inputs, Scored, Sheet
from vlzoo.errors import DataError
from vlzoo.metrics.classification import SNLI_VE_CLASSES, accuracy_by_class, correct
from vlzoo.metrics.nlvr import Judged, judge, nlvr2_sentence, nlvr_sentence
from vlzoo.types import Score

IMAGES_A_SENTENCE = 6
"""NLVR shows each example as six pictures, the orders of its three boxes."""


def score_nlvr2(inputs: Inputs) -> Scored:
    """NLVR2 accuracy and consistency as the official script's, and those of subsets (balanced, unbalanced).

    Predictions: `{"identifier", "prediction"}`, true or false. Annotations: the official jsonl.
    """
    path, labels = _labels(inputs, "identifier", "label", _truth)
    found = collect(
        inputs.predictions,
        lambda row: text_id(row, "identifier"),
        lambda row: _truth(row["prediction"]),
        labels,
        allow_missing=inputs.allow_missing,
    )
    right = {name: found.values.get(name) == label for name, label in labels.items()}
    sheet = Sheet("nlvr2", "nlvr2/accuracy", fingerprint(path))
    scores = _both(sheet, right, [nlvr2_sentence(name) for name in right])
    for subset in inputs.subsets:
        inside = _subset(subset, right)
        scores += _both(sheet, inside, [nlvr2_sentence(name) for name in inside], f" {_stem(subset)}")
    return Scored(_asked(scores, inputs.protocol), len(found.missing))


def score_nlvr(inputs: Inputs) -> Scored:
    """NLVR accuracy over pictures (its script says precision) and consistency over sentences.

    Predictions: `{"identifier", "image": k, "prediction"}`, one for each of an example's pictures. Annotations: the
    official jsonl, with six pictures an example, or as many as its `images` names.
    """
    path, examples = _labels(inputs, "identifier", "label", _truth)
    counts = {text_id(row, "identifier"): len(row.get("images", ())) for row, _ in read_rows(path)}
    labels = {
        f"{name}-{k}": label for name, label in examples.items() for k in range(counts[name] or IMAGES_A_SENTENCE)
    }
    found = collect(
        inputs.predictions,
        lambda row: f"{text_id(row, 'identifier')}-{text_id(row, 'image')}",
        lambda row: _truth(row["prediction"]),
        labels,
        allow_missing=inputs.allow_missing,
    )
    right = {name: found.values.get(name) == label for name, label in labels.items()}
    sheet = Sheet("nlvr", "nlvr/accuracy", fingerprint(path))
    scores = _both(sheet, right, [nlvr_sentence(name) for name in right])
    return Scored(_asked(scores, inputs.protocol), len(found.missing), (f"{len(examples)} examples",))


def score_snli_ve(inputs: Inputs) -> Scored:
    """SNLI-VE accuracy over three classes, in all and by class; the label set is part of the protocol.

    Predictions: `{"identifier": pairID, "prediction": class}`. Annotations: the official jsonl (`pairID`,
    `gold_label`).
    """
    path, labels = _labels(inputs, "pairID", "gold_label", _snli_class)
    found = collect(
        inputs.predictions,
        lambda row: text_id(row, "identifier"),
        lambda row: _snli_class(row["prediction"]),
        labels,
        allow_missing=inputs.allow_missing,
    )
    truth = list(labels.values())
    right = correct(truth, [found.values.get(name, "") for name in labels])
    detail = {f"of {name}": value for name, value in accuracy_by_class(truth, right).items()}
    sheet = Sheet("snli-ve", f"snli-ve/{inputs.protocol}", fingerprint(path))
    scores = (sheet.hits("accuracy", right, [name.split("#")[0] for name in labels], detail=detail),)
    return Scored(scores, len(found.missing), (f"label set: {inputs.protocol}",))


def _both(sheet: Sheet, right: dict[str, bool], sentences: Sequence[str], name: str = "") -> tuple[Score, ...]:
    """Accuracy with its interval over sentences, and consistency."""
    judged: Judged = judge(np.fromiter(right.values(), dtype=bool), sentences)
    protocol = f"{sheet.task}/consistency"
    return (
        sheet.hits(f"accuracy{name}", judged.correct, sentences),
        sheet.hits(f"consistency{name}", judged.consistent, protocol=protocol),
    )


def _asked(scores: tuple[Score, ...], protocol: str) -> tuple[Score, ...]:
    """Both figures, or the one that `protocol` names."""
    return tuple(score for score in scores if protocol in ("official", score.protocol.split("/")[1]))


def _labels(inputs: Inputs, key: str, label: str, read: Any) -> tuple[Path, dict[str, Any]]:
    """The annotations' path, and id -> label."""
    if inputs.annotations is None:
        raise DataError("this task needs --annotations")
    labels: dict[str, Any] = {}
    for row, where in read_rows(inputs.annotations):
        try:
            name, truth = text_id(row, key), read(row[label])
        except KeyError as error:
            raise DataError(f"no {error.args[0]!r} here", where=where, fix="give the official jsonl") from None
        except Refused as refused:
            raise DataError(f"{refused.kind}: {refused.shown!r}", where=where) from None
        if name in labels:
            raise DataError(f"{name} is annotated twice", where=where)
        labels[name] = truth
    return inputs.annotations, labels


def _subset(path: Path, right: dict[str, bool]) -> dict[str, bool]:
    """The judged predictions of the ids in a subset's file."""
    names = [text_id(row, "identifier") for row, _ in read_rows(path)]
    strange = [name for name in names if name not in right]
    if strange:
        shown = ", ".join(strange[:5])
        raise DataError(f"{len(strange)} ids that the annotations do not have: {shown}", where=str(path))
    return {name: right[name] for name in names}


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _truth(value: Any) -> bool:
    """True or false as a boolean, as 0 or 1, or as a word in any case."""
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise Refused("values that are not true or false", value)


def _snli_class(value: Any) -> str:
    if isinstance(value, str) and value.strip().lower() in SNLI_VE_CLASSES:
        return value.strip().lower()
    raise Refused(f"values that are not one of {', '.join(SNLI_VE_CLASSES)}", value)
