"""VQA v2 and GQA: answer a question about a picture (Goyal et al., CVPR 2017; Hudson and Manning, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vlzoo.bench.engine import Engine
from vlzoo.bench.score_base import Scored, Sheet
from vlzoo.bench.task import Row, Settings, Task, data_name
from vlzoo.bench.tasks.labelled import in_order
from vlzoo.bench.tasks.vqa_modes import ANSWER_LENGTH, FIRST_TWICE, MODES
from vlzoo.bench.tasks.vqa_rank import Ranked, rank_answers
from vlzoo.data.answers import AnswerList, answer_weights, build_answer_list
from vlzoo.data.collate import Fields
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError
from vlzoo.metrics.vqa import PROTOCOLS, accuracies
from vlzoo.text.tokenizer import Tokenizer

__all__ = ["ANSWER_LENGTH", "FIRST_TWICE", "Gqa", "Ranked", "Vqa", "rank_answers"]

CLASSES = 3_129
"""Classes of `classify`: the most frequent answers, as many as UNITER, ViLT and METER take."""


class Vqa(Task):
    """Trained on the annotators' answers; measured by ranking a list, by free decoding, or by a head over the list.

    The answer list is built from the training annotations: by count, ties by text; it is kept in the run folder.
    """

    name = "vqa"
    protocols = tuple(PROTOCOLS)
    modes = MODES
    id_key = "question_id"
    answer_key = "answer"

    def __init__(self) -> None:
        self.answers: tuple[str, ...] = ()

    def classes(self) -> tuple[str, ...]:
        """What a head over answers can say."""
        return self.answers[:CLASSES]

    def learn(self, samples: Sequence[Sample]) -> None:
        """Build the answer list."""
        self.answers = build_answer_list([sample.answers for sample in samples]).answers

    def state(self) -> Mapping[str, Any]:
        """The answer list."""
        return {"answers": list(self.answers)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The answer list of a run."""
        self.answers = tuple(state["answers"])

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
        classes = torch.tensor([number.get(answer, -1) for answer in answers])
        extra = {"answer_row": torch.tensor(rows), "answer_weight": torch.tensor(weights), "answer_class": classes}
        return Fields(texts={"answer": text}, extra=extra)

    def kept(self, settings: Settings) -> Mapping[str, Any]:
        """The answer list counts too: it comes from the training data."""
        return {**super().kept(settings), "listed": len(self.answers[: settings.answers])}

    def blank(self, sample: Sample) -> Row | None:
        """An empty answer."""
        return {"name": sample.name, "answer": ""}

    def predict(self, engine: Engine, source: Any, settings: Settings, done: frozenset[str]) -> Iterator[list[Row]]:
        """An answer to each question, with its score."""
        answer = engine.answerer(self.answers[: settings.answers], settings)
        self._say_coverage(engine, source, settings)
        for samples, batch in engine.batches(source, settings.batch, done):
            with torch.no_grad(), engine.autocast():
                answered = answer(batch)
            yield [{"name": sample.name, **row} for sample, row in zip(samples, answered, strict=True)]

    def _say_coverage(self, engine: Engine, source: Any, settings: Settings) -> None:
        listed = self.answers[: settings.answers]
        if listed:
            covered = AnswerList(listed, (0,) * len(listed)).coverage(sample.answers for sample in source)
            engine.say(f"{self.name}: a list of {len(listed):,} answers; {covered}")

    def submission(self, source: Any, rows: Mapping[str, Row]) -> list[Row]:
        """The server's format, one answer a question, in the questions' order.

        Raises:
            PredictionError: questions without an answer, answers without a question, or answers that are no text.
        """
        pairs = in_order(source, rows)
        silent = [sample.name for sample, row in pairs if not isinstance(row.get("answer"), str)]
        if silent:
            raise PredictionError(f"{len(silent)} answers are no text, first of question {silent[0]}")
        named = [(str(sample.fields.get("question_id", sample.name)), row["answer"]) for sample, row in pairs]
        if len({name for name, _ in named}) != len(named):
            raise PredictionError("a question_id stands twice in the data", where=source.name)
        return [{self.id_key: self.server_id(name), self.answer_key: answer} for name, answer in named]

    def server_id(self, name: str) -> int | str:
        """A question's id as the server writes it: a number."""
        return int(name) if name.isdigit() else name

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Accuracy in all and per answer type; intervals over pictures.

        With a single annotator a question (easy-VQA, GQA) it is plain equality.
        """
        pairs = in_order(source, rows)
        # The protocol of ALBEF's code includes its ranking; predictions from elsewhere have one answer alone.
        said = [str((protocol == "albef-2021" and row.get(FIRST_TWICE)) or row["answer"]) for _, row in pairs]
        truths = [sample.answers for sample, _ in pairs]
        unknown = sum(not truth for truth in truths)
        if unknown:
            what = f"{unknown} questions of {len(truths)} have no public answers"
            raise DataError(what, where=source.name, fix="--submission FILE writes what the server scores")
        values_N, protocol = self.judged(truths, said, protocol)
        return Scored(self._figures(source, [sample for sample, _ in pairs], values_N, protocol))

    def judged(self, truths: Sequence[Sequence[str]], said: Sequence[str], protocol: str) -> tuple[np.ndarray, str]:
        """Each answer's accuracy in percent, [N], and what the protocol is called."""
        if all(len(truth) == 1 for truth in truths):
            return exact(truths, said), "exact"
        return accuracies(truths, said, protocol), protocol

    def _figures(self, source: Any, samples: Sequence[Sample], values_N: np.ndarray, protocol: str) -> tuple[Any, ...]:
        clusters = [sample.image_id or sample.name for sample in samples]
        kinds = [self.kind(sample) for sample in samples]
        inside = {kind: [i for i, each in enumerate(kinds) if each == kind] for kind in sorted(set(kinds) - {""})}
        detail = {f"answer type: {kind}": float(values_N[rows].mean()) for kind, rows in inside.items()}
        sheet = Sheet(self.name, f"{self.name}/{protocol}", data_name(source))
        by_kind = [
            sheet.mean(f"accuracy ({kind})", values_N[rows], [clusters[i] for i in rows])
            for kind, rows in inside.items()
        ]
        return (sheet.mean("accuracy", values_N, clusters, detail=detail), *by_kind)

    def kind(self, sample: Sample) -> str:
        """The group of a question whose accuracy is given apart: VQA's answer type."""
        return str(sample.fields.get("answer_type", ""))


class Gqa(Vqa):
    """GQA: one right answer; accuracy of all balanced questions, binary and open ones apart."""

    name = "gqa"
    protocols = ("accuracy",)
    id_key = "questionId"
    answer_key = "prediction"

    def server_id(self, name: str) -> int | str:
        """Text, as GQA's files have it."""
        return name

    def judged(self, truths: Sequence[Sequence[str]], said: Sequence[str], protocol: str) -> tuple[np.ndarray, str]:
        """Right where the answer is the annotated string.

        Raises:
            DataError: a question has several annotators.
        """
        if any(len(truth) != 1 for truth in truths):
            raise DataError("these questions have several annotators' answers; GQA's have one", fix="bench vqa instead")
        return exact(truths, said), protocol

    def kind(self, sample: Sample) -> str:
        """`open` for questions of structure `query`, else `binary`, as GQA's evaluator calls them."""
        structure = sample.fields.get("structural")
        return "" if structure is None else "open" if structure == "query" else "binary"


def exact(truths: Sequence[Sequence[str]], said: Sequence[str]) -> np.ndarray:
    """100 where an answer is the first annotated string, else 0, [N]."""
    return np.array([100.0 * (truth[0] == answer) for truth, answer in zip(truths, said, strict=True)])
