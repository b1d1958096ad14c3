"""GQA: questions with one right answer (Hudson and Manning, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vlzoo.bench.vqa.task import Vqa, answer_text, exact
from vlzoo.data.fields import optional
from vlzoo.data.predictions import row_id
from vlzoo.data.readers import gqa
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.metrics.figures import Scored
from vlzoo.task import in_order
from vlzoo.types import Row


class Gqa(Vqa):
    """GQA: one right answer; accuracy of all balanced questions, binary and open ones apart.

    Args:
        protocol: `accuracy`, the only one.
        mode: as for vqa.
        k: candidates kept by the first stage of ranking.
        beams: beams of free decoding; 1 is greedy.
        answers: at most this many answers of the list; None: all.
    """

    name = "gqa"
    protocols = ("accuracy",)
    id_key = "questionId"
    answer_key = "prediction"

    def __init__(
        self,
        *,
        protocol: str = "",
        mode: Literal["", "rank", "generate", "classify"] = "",
        k: int = 128,
        beams: int = 1,
        answers: int | None = None,
    ) -> None:
        super().__init__(protocol=protocol, mode=mode, k=k, beams=beams, answers=answers)

    def server_ids(self, names: Sequence[str]) -> Sequence[int | str]:
        """Texts, as GQA's files have them."""
        return names

    def annotated(self, file: Path) -> Iterable[Sample]:
        """The official file, id -> question with its `answer`, or a list of `{"question_id", "answer"}`."""
        return gqa.annotated(file)

    def row_key(self, row: Mapping[str, Any]) -> str:
        """`{"questionId", "prediction"}` (the server's) or `{"question_id", "answer"}`."""
        return row_id(row, "questionId" if "questionId" in row else "question_id")

    def row(self, row: Mapping[str, Any]) -> Row:
        """The answer."""
        return {"answer": answer_text(row, "prediction" if "prediction" in row else "answer")}

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Accuracy; binary and open questions apart.

        The official figure counts balanced questions alone: where the data say which those are, the others must be
        predicted but are not scored.
        """
        pairs = in_order(samples, rows)
        told = {sample.name: optional(sample.fields, "balanced", bool, f"sample {sample.name}") for sample, _ in pairs}
        counted = {sample.name: sample for sample, _ in pairs if told[sample.name] is not False}
        if not counted:
            raise DataError(f"none of {len(pairs)} questions is balanced, and only those are scored")
        scored = super().score(list(counted.values()), {name: rows[name] for name in counted})
        notes = (f"{len(counted)} balanced questions of {len(pairs)} are scored",) if len(counted) < len(pairs) else ()
        return replace(scored, notes=(*notes, *scored.notes))

    def judged(self, truths: Sequence[Sequence[str]], said: Sequence[str]) -> tuple[np.ndarray, str]:
        """Right where the answer is the annotated string.

        Raises:
            DataError: a question has several annotators.
        """
        if any(len(truth) != 1 for truth in truths):
            raise DataError("these questions have several annotators' answers; GQA's have one", fix="bench vqa instead")
        return exact(truths, said), self.protocol

    def kinds(self, sample: Sample) -> Mapping[str, str]:
        """`open` for questions of structure `query`, else `binary`, as GQA's evaluator calls them."""
        structure = sample.fields.get("structural")
        if structure is None:
            return {}
        return {"answer type": "open" if structure == "query" else "binary", "structure": str(structure)}
