"""VQA v2: answer a question about a picture (Goyal et al., CVPR 2017)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vlzoo.data.answers import (
    ANSWER_LENGTH,
    CLASSES,
    FIRST_TWICE,
    AnswerList,
    answer_weights,
    build_answer_list,
    checked_answers,
)
from vlzoo.data.predictions import Refused, row_id, server_ids
from vlzoo.data.readers import vqa_rows
from vlzoo.data.records import Fields, Sample, Told
from vlzoo.errors import CheckpointError, DataError, PredictionError
from vlzoo.metrics.anls import anls
from vlzoo.metrics.figures import Figures, Score, Scored
from vlzoo.metrics.vqa import PROTOCOLS, accuracies
from vlzoo.task import Effort, Task, in_order
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel
    from vlzoo.text.tokenizer import Tokenizer

MODES = ("rank", "generate", "classify")

BY_ANSWER = {"anls": anls}
"""Protocols that hold what was said against each answer, so that one is enough."""
METRICS = {"anls": "ANLS"}
"""What a protocol's figure is called, where it is no accuracy."""


class Vqa(Task):
    """Trained on the annotators' answers; measured by ranking a list, by free decoding, or by a head over the list.

    The answer list is built from the training annotations: by count, ties by text; it is kept in the run folder. Free
    decoding (`generate`) needs none: any words of the vocabulary may be said.

    Args:
        protocol: how an answer is compared with those of annotators.
        mode: `rank` a list, `generate` freely, or `classify` over the list; empty: what the model was trained for.
        k: candidates kept by the first stage of ranking.
        beams: beams of free decoding; 1 is greedy.
        answers: at most this many answers of the list; None: all.
        questions: a second file with the answer types that a file of annotations lacks.
    """

    name = "vqa"
    protocols = (*PROTOCOLS, *BY_ANSWER)
    id_key = "question_id"
    answer_key = "answer"

    def __init__(
        self,
        *,
        protocol: str = "",
        mode: Literal["", "rank", "generate", "classify"] = "",
        k: int = 128,
        beams: int = 1,
        answers: int | None = None,
        questions: str = "",
    ) -> None:
        super().__init__(protocol=protocol)
        self.mode = self.choice("mode", mode, MODES) if mode else ""
        self.k, self.beams = self.count("k", k), self.count("beams", beams)
        self.answers = None if answers is None else self.count("answers", answers)
        self.questions = questions
        self.listed: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[str, ...]:
        """The answers that may be given."""
        return self.listed[: self.answers]

    def classes(self) -> tuple[str, ...]:
        """What a head over answers can say."""
        return self.listed[:CLASSES]

    def learn(self, samples: Sequence[Sample]) -> None:
        """Build the answer list."""
        self.listed = build_answer_list([sample.answers for sample in samples]).answers

    def state(self) -> Mapping[str, Any]:
        """The answer list."""
        return {"answers": list(self.listed)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The answer list of a run; one that was converted without a list has none.

        Raises:
            DataError: the list is damaged; says which answer.
        """
        kept = state.get("answers") or []
        self.listed = checked_answers(kept, where="task.json of the run") if kept != [] else ()

    def check_learned(self) -> None:
        """Only free decoding goes without an answer list.

        Raises:
            CheckpointError: there is none, and the mode needs one.
        """
        if not self.listed and self.mode != "generate":
            what = "this run has no answer list, and its answers are chosen from one"
            fix = "convert the checkpoint again with --answers answer_list.json, or measure it with --mode generate"
            raise CheckpointError(what, where=self.name, fix=fix)

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """Every distinct answer once: its text, its question's row, its share of the annotators, and its class.

        `extra["answer_class"]` is -1 where the list does not hold the answer.

        Raises:
            DataError: a question has no answer.
        """
        number = {answer: i for i, answer in enumerate(self.classes())}
        rows, answers, weights = [], [], []
        for row, sample in enumerate(samples):
            if not sample.answers:
                raise DataError(f"{self.name}: a question without an answer", where=f"sample {sample.name}")
            total = float(sample.fields.get("weight", 1.0))
            for answer, weight in answer_weights(sample.answers, total=total).items():
                rows.append(row)
                answers.append(answer)
                weights.append(weight)
        text = tokenizer(answers, sep=True, max_length=ANSWER_LENGTH)
        extra = {
            "answer_row": np.array(rows, dtype=np.int64),
            "answer_weight": np.array(weights, dtype=np.float32),
            "answer_class": np.array([number.get(answer, -1) for answer in answers], dtype=np.int64),
        }
        return Fields(texts={"answer": text}, extra=extra)

    def kept(self) -> Mapping[str, Any]:
        """The length of the answer list counts too: it comes from the training data."""
        kept = {"mode": self.mode, "k": self.k, "beams": self.beams, "answers": self.answers}
        return {**kept, "listed": len(self.candidates)}

    def blank(self, sample: Sample) -> Row | None:
        """An empty answer."""
        return {"name": sample.name, "answer": ""}

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """An answer to each question, with its score."""
        from vlzoo.bench.vqa.answers import answerer

        answer = answerer(model, self)
        if self.candidates:
            covered = AnswerList(self.candidates, (0,) * len(self.candidates))
            reachable = covered.coverage(sample.answers for sample in source)
            model.say(f"{self.name}: a list of {len(self.candidates):,} answers; {reachable}")
        for samples, batch in model.batches(source, effort.batch, done):
            yield [{"name": sample.name, **row} for sample, row in zip(samples, answer(batch), strict=True)]

    def submission(self, source: Any, rows: Mapping[str, Row]) -> list[Row]:
        """The server's format, one answer a question, in the questions' order.

        Raises:
            PredictionError: questions without an answer, answers without a question, or answers that are no text.
        """
        pairs = in_order(source, rows)
        silent = [sample.name for sample, row in pairs if not isinstance(row.get("answer"), str)]
        if silent:
            raise PredictionError(f"{len(silent)} answers are no text, first of question {silent[0]}")
        named = [(self.sample_key(sample), self._server_key(sample), row["answer"]) for sample, row in pairs]
        if len({name for name, _, _ in named}) != len(named):
            raise PredictionError("a question_id stands twice in the data", where=source.name)
        ids = self.server_ids([name for name, _, _ in named])
        return [{key: name, self.answer_key: answer} for name, (_, key, answer) in zip(ids, named, strict=True)]

    def _server_key(self, sample: Sample) -> str:
        """VizWiz' server knows a question by its picture."""
        return "image" if "image" in sample.fields and "question_id" not in sample.fields else self.id_key

    def server_ids(self, names: Sequence[str]) -> Sequence[int | str]:
        """Questions' ids as the server writes them: numbers where they are."""
        return server_ids(names)

    def annotated(self, file: Path) -> Iterable[Sample]:
        """The official `{"annotations": [...]}`, or a list of `{"question_id", "answer": [ten texts]}` as ALBEF's.

        TextVQA's and ST-VQA's `{"data": [...]}` and VizWiz' list too, whose questions are known by their pictures.

        Raises:
            DataError: a question with fewer than two answers, from which nobody can be put aside.
        """
        for sample in vqa_rows.annotated(file, Path(self.questions) if self.questions else None):
            if len(sample.answers) < 2 and self.protocol not in BY_ANSWER:
                fix = (
                    "VQA accuracy needs several annotators; score exact matches with `vlzoo score gqa`, ANLS by -p anls"
                )
                raise DataError(f"question {sample.name} has {len(sample.answers)} answers", where=str(file), fix=fix)
            yield sample

    def sample_key(self, sample: Sample) -> str:
        """The question's id."""
        return str(sample.fields.get("question_id", sample.name))

    def row_key(self, row: Mapping[str, Any]) -> str:
        """The server's results format: `{"question_id", "answer"}`; VizWiz' `{"image", "answer"}`."""
        return row_id(row, "image" if "image" in row and "question_id" not in row else "question_id")

    def row(self, row: Mapping[str, Any]) -> Row:
        """The answer."""
        return {"answer": answer_text(row, "answer")}

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy in all and per answer type; intervals over pictures.

        With a single annotator a question (easy-VQA, GQA) it is plain equality.
        """
        pairs = in_order(samples, rows)
        said = [self.answered(row) for _, row in pairs]
        truths = [sample.answers for sample, _ in pairs]
        unknown = sum(not truth for truth in truths)
        if unknown:
            what, where = f"{unknown} questions of {len(truths)} have no public answers", getattr(samples, "name", None)
            raise DataError(what, where=where, fix="--submission FILE writes what the server scores")
        values_N, protocol = self.judged(truths, said)
        mode = next((row["mode"] for _, row in pairs if "mode" in row), self.mode)  # the model's, where none was asked
        settings = {"mode": mode or None, "k": self.k if mode == "rank" else None}
        return Scored(self.figures([sample for sample, _ in pairs], values_N, protocol), settings=settings)

    def answered(self, row: Row) -> str:
        """The answer that is judged: the protocol of ALBEF's code includes its ranking, where that is known."""
        return str((self.protocol == "albef-2021" and row.get(FIRST_TWICE)) or row["answer"])

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """The question, the answer that is judged, and the annotators' answers, the most frequent first."""
        plainly = super().told(samples, rows)
        return lambda sample: replace(plainly(sample), said=self.answered(rows[sample.name]))

    def judged(self, truths: Sequence[Sequence[str]], said: Sequence[str]) -> tuple[np.ndarray, str]:
        """Each answer's accuracy in percent, [N], and what the protocol is called."""
        if self.protocol in BY_ANSWER:
            return BY_ANSWER[self.protocol](truths, said), self.protocol
        single = sum(len(truth) == 1 for truth in truths)
        if single == len(truths):
            return exact(truths, said), "exact"
        if single:
            what = f"{single} questions of {len(truths)} have one answer, the others several: no protocol counts both"
            raise DataError(what, fix="score them apart")
        return accuracies(truths, said, self.protocol), self.protocol

    def figures(self, samples: Sequence[Sample], values_N: np.ndarray, protocol: str) -> tuple[Score, ...]:
        """Accuracy of all, then of each group of the first kind; other kinds stand in the first one's detail."""
        clusters = [sample.image_id or sample.name for sample in samples]
        inside: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, sample in enumerate(samples):
            for kind, name in self.kinds(sample).items():
                inside[kind, name].append(number)
        groups = sorted((group, rows) for group, rows in inside.items() if group[1])
        detail = {f"{kind}: {name}": float(values_N[rows].sum()) / len(rows) for (kind, name), rows in groups}
        figures, metric = Figures(self.name, f"{self.name}/{protocol}"), METRICS.get(protocol, "accuracy")
        by_answer = [
            figures.mean(f"{metric} ({name})", values_N[rows], [clusters[i] for i in rows])
            for (kind, name), rows in groups
            if kind == "answer type"
        ]
        return (figures.mean(metric, values_N, clusters, detail=detail), *by_answer)

    def kinds(self, sample: Sample) -> Mapping[str, str]:
        """The groups of a question whose accuracy is given apart: VQA's answer type and question type."""
        kinds = {"answer type": "answer_type", "question type": "question_type"}
        return {kind: str(sample.fields[key]) for kind, key in kinds.items() if key in sample.fields}


def exact(truths: Sequence[Sequence[str]], said: Sequence[str]) -> np.ndarray:
    """100 where an answer is the first annotated string, else 0, [N]."""
    return np.array([100.0 * (truth[0] == answer) for truth, answer in zip(truths, said, strict=True)])


def answer_text(row: Mapping[str, Any], name: str) -> str:
    """The answer in a row of predictions.

    Raises:
        KeyError: there is none.
        Refused: it is no text.
    """
    if not isinstance(row[name], str):
        raise Refused("answers that are not strings", row[name])
    return str(row[name])
