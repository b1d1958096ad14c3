"""Scoring VQA and GQA answers against their official annotation files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vlzoo.bench.predictions import Refused, Row, collect, fingerprint, read_json, read_rows, text_id
from vlzoo.bench.score_base import Inputs, Scored, Sheet
from vlzoo.errors import DataError
from vlzoo.metrics.vqa import accuracy
from vlzoo.types import Score


@dataclass(frozen=True)
class Question:
    """What a question's answers are judged by.

    Attributes:
        answers: the annotators' answers; one alone in GQA.
        cluster: its image where that is known, else itself.
        kinds: figure's name -> this question's group: `answer type` -> `yes/no`.
    """

    answers: tuple[str, ...]
    cluster: str
    kinds: Mapping[str, str]


def score_vqa(inputs: Inputs) -> Scored:
    """VQA v2 accuracy, in all and per answer type.

    Predictions: the server's results format, a list of `{"question_id", "answer"}`. Annotations: the official
    `{"annotations": [...]}`, or a list of `{"question_id", "answer": [ten strings]}` as ALBEF writes it.

    Raises:
        DataError, PredictionError: as `read_rows` and `collect`; a question with fewer than two answers.
    """
    path = _annotations(inputs)
    questions = _vqa_questions(path, inputs.questions)
    found = collect(
        inputs.predictions,
        lambda row: text_id(row, "question_id"),
        lambda row: _string(row, "answer"),
        questions,
        allow_missing=inputs.allow_missing,
    )
    values = [
        accuracy(question.answers, found.values[name], inputs.protocol) if name in found.values else 0.0
        for name, question in questions.items()
    ]
    sheet = Sheet("vqa", f"vqa/{inputs.protocol}", fingerprint(path))
    return Scored(_figures(sheet, list(questions.values()), values), len(found.missing))


def score_gqa(inputs: Inputs) -> Scored:
    """GQA accuracy: the answer is the annotated string, or it is wrong. Binary and open questions apart.

    Predictions: `{"questionId", "prediction"}` (the server's) or `{"question_id", "answer"}`. Annotations: the official
    file, id -> question with its `answer`, or a list of `{"question_id", "answer"}`. The official figure counts
    balanced questions alone: where a file says which those are, the others must be predicted but are not scored.
    """
    path = _annotations(inputs)
    questions = _gqa_questions(path)
    found = collect(
        inputs.predictions,
        lambda row: text_id(row, "questionId" if "questionId" in row else "question_id"),
        lambda row: _string(row, "prediction" if "prediction" in row else "answer"),
        questions,
        allow_missing=inputs.allow_missing,
    )
    counted = {name: question for name, question in questions.items() if question.kinds.get("balanced") != "False"}
    values = [100.0 * (found.values.get(name) == question.answers[0]) for name, question in counted.items()]
    notes = (
        (f"{len(counted)} balanced questions of {len(questions)} are scored",) if len(counted) < len(questions) else ()
    )
    sheet = Sheet("gqa", "gqa/accuracy", fingerprint(path))
    return Scored(_figures(sheet, list(counted.values()), values), len(found.missing), notes)


def _annotations(inputs: Inputs) -> Path:
    if inputs.annotations is None:
        raise DataError("this task needs --annotations")
    return inputs.annotations


def _figures(sheet: Sheet, questions: Sequence[Question], values: Sequence[float]) -> tuple[Score, ...]:
    """Overall, then one figure for each answer type; other groupings go into the first one's detail."""
    clusters = [question.cluster for question in questions]
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, question in enumerate(questions):
        for kind, name in question.kinds.items():
            groups[kind, name].append(number)
    values_N = np.asarray(values)
    detail = {
        f"{kind}: {name}": float(values_N[rows].sum()) / len(rows)
        for (kind, name), rows in sorted(groups.items())
        if kind not in ("answer type", "balanced")
    }
    by_answer = [
        sheet.mean(f"accuracy {name}", values_N[rows], [clusters[row] for row in rows])
        for (kind, name), rows in sorted(groups.items())
        if kind == "answer type"
    ]
    return (sheet.mean("accuracy", values_N, clusters, detail=detail), *by_answer)


def _vqa_questions(path: Path, extra: Path | None) -> dict[str, Question]:
    more = {text_id(row, "question_id"): row for row, _ in read_rows(extra, "questions")} if extra else {}
    questions: dict[str, Question] = {}
    for row, where in read_rows(path, "annotations"):
        try:
            name = text_id(row, "question_id")
            answers = _answers(row["answers"] if "answers" in row else row["answer"])
        except KeyError as error:
            raise DataError(f"no {error.args[0]!r} here", where=where, fix="give VQA's annotation file") from None
        if name in questions:
            raise DataError(f"question {name} is annotated twice", where=where)
        if len(answers) < 2:
            fix = "VQA accuracy needs several annotators; score exact matches with `vlzoo score gqa`"
            raise DataError(f"question {name} has {len(answers)} answers", where=where, fix=fix)
        about = {**more.get(name, {}), **row}
        kinds = {kind: str(about[key]) for kind, key in _VQA_KINDS.items() if key in about}
        questions[name] = Question(answers, str(about.get("image_id", about.get("image", name))), kinds)
    return questions


_VQA_KINDS = {"answer type": "answer_type", "question type": "question_type"}


def _answers(found: Any) -> tuple[str, ...]:
    """Answers in the official form (objects with `answer`) or as plain strings."""
    listed = found if isinstance(found, list) else [found]
    return tuple(str(one["answer"] if isinstance(one, dict) else one) for one in listed)


def _gqa_questions(path: Path) -> dict[str, Question]:
    official = _official_gqa(path)
    rows = official or [(text_id(row, "question_id"), row, where) for row, where in read_rows(path, "questions")]
    questions: dict[str, Question] = {}
    for name, row, where in rows:
        if not isinstance(row, dict) or not isinstance(row.get("answer"), str):
            raise DataError(f"question {name} has no answer", where=where, fix="GQA's test split has none to score by")
        if name in questions:
            raise DataError(f"question {name} is annotated twice", where=where)
        kinds = {"balanced": str(row["isBalanced"])} if "isBalanced" in row else {}
        structure = row.get("types", {}).get("structural")
        if structure:
            kinds |= {"answer type": "open" if structure == _OPEN else "binary", "structure": structure}
        questions[name] = Question((row["answer"],), str(row.get("imageId", row.get("image", name))), kinds)
    return questions


_OPEN = "query"
"""GQA's structural type of open questions; all others are called binary by its evaluator, choices included."""


def _official_gqa(path: Path) -> list[tuple[str, Row, str]]:
    """Rows of the official form, id -> question; empty where the file has another."""
    if ".jsonl" in path.name or ".csv" in path.name:
        return []
    whole = read_json(path)
    if not isinstance(whole, dict) or "questions" in whole:
        return []
    return [(name, row, f"{path}:{name}") for name, row in whole.items()]


def _string(row: Row, name: str) -> str:
    if not isinstance(row[name], str):
        raise Refused("answers that are not strings", row[name])
    return str(row[name])
