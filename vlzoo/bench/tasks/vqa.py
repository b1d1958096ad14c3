"""VQA v2: answer a question about a picture (Goyal et al., CVPR 2017), by ranking a list of answers.

Legend: B questions, A answers, K candidates, L answer tokens, V vocabulary.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.bench.engine import Engine
from vlzoo.bench.score_base import Scored, Sheet
from vlzoo.bench.task import Row, Settings, Task, data_name
from vlzoo.bench.tasks.labelled import in_order
from vlzoo.data.answers import answer_weights, build_answer_list
from vlzoo.data.collate import Fields
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.interfaces import Decoder, Prepared
from vlzoo.metrics.vqa import PROTOCOLS, accuracies
from vlzoo.models.assemble import Model
from vlzoo.models.tokenizer import Tokenizer
from vlzoo.objectives.answer import decoder_of
from vlzoo.types import Text, Tokens

ANSWER_LENGTH = 12
"""Most ids of an answer, [CLS] and [SEP] included."""

FIRST_TWICE = "answer (first token twice)"
"""What the official ranking answers: its score counts the first token's log-probability twice (docs/quirks.md)."""

LOGITS = 50_000_000
"""Most logits held at once while answers are ranked: 200 MB."""


class Vqa(Task):
    """A decoder trained on the annotators' answers; measured by ranking the answers of the training set.

    The answer list is built from the training annotations: by count, ties by text; it is kept in the run folder.
    """

    name = "vqa"
    protocols = tuple(PROTOCOLS)

    def __init__(self) -> None:
        self.answers: tuple[str, ...] = ()

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
        """Every distinct answer once: its text, its question's row, and its share of the annotators.

        Raises:
            DataError: a question has no answer.
        """
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
        extra = {"answer_row": torch.tensor(rows), "answer_weight": torch.tensor(weights)}
        return Fields(texts={"answer": text}, extra=extra)

    def predict(self, engine: Engine, source: Any, settings: Settings, done: frozenset[str]) -> Iterator[list[Row]]:
        """The answer of the list with the highest log-probability."""
        listed = self.answers[: settings.answers]
        text = engine.tokenizer(listed, sep=True, max_length=ANSWER_LENGTH)
        answer = Text(*(tensor.to(engine.device) for tensor in (text.ids, text.mask, text.special)))
        for samples, batch in engine.batches(source, settings.batch, done):
            with torch.no_grad(), engine.autocast():
                fused = engine.step(batch).fused()
                memory = Tokens(fused.x, fused.mask, fused.cls)
                ranked = rank_answers(engine.system.model, memory, answer, min(settings.k, len(listed)))
            best, twice = ranked.best(), ranked.best(first_twice=True)
            yield [
                {
                    "name": sample.name,
                    "answer": listed[int(best[0][row])],
                    "score": float(best[1][row]),
                    FIRST_TWICE: listed[int(twice[0][row])],
                }
                for row, sample in enumerate(samples)
            ]

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Accuracy in all and per answer type; intervals over pictures.

        With a single annotator a question (easy-VQA, GQA) it is plain equality.
        """
        pairs = in_order(source, rows)
        # The protocol of ALBEF's code includes its ranking; predictions from elsewhere have one answer alone.
        said = [str((protocol == "albef-2021" and row.get(FIRST_TWICE)) or row["answer"]) for _, row in pairs]
        truths = [sample.answers for sample, _ in pairs]
        if all(len(truth) == 1 for truth in truths):
            values_N, protocol = np.array([100.0 * (t[0] == s) for t, s in zip(truths, said, strict=True)]), "exact"
        else:
            values_N = accuracies(truths, said, protocol)
        clusters = [sample.image_id or sample.name for sample, _ in pairs]
        kinds = [str(sample.fields.get("answer_type", "")) for sample, _ in pairs]
        sheet = Sheet(self.name, f"{self.name}/{protocol}", data_name(source))
        scores = [sheet.mean("accuracy", values_N, clusters, detail=_by_type(values_N, kinds))]
        for kind in sorted(set(kinds) - {""}):
            inside = [i for i, each in enumerate(kinds) if each == kind]
            scores.append(sheet.mean(f"accuracy ({kind})", values_N[inside], [clusters[i] for i in inside]))
        return Scored(tuple(scores))


class Ranked(NamedTuple):
    """The candidates of each question with their two scores.

    Attributes:
        candidate: rows of the answer list, [B, K].
        first: log-probability of each candidate's first token, [B, K].
        whole: log-probability of each whole candidate, [B, K].
    """

    candidate: Tensor
    first: Tensor
    whole: Tensor

    def scores(self, *, first_twice: bool = False) -> Tensor:
        """What candidates are ranked by, [B, K]; `first_twice` adds the first token again, as the official code."""
        return self.whole + self.first if first_twice else self.whole

    def best(self, *, first_twice: bool = False) -> tuple[Tensor, Tensor]:
        """The best answer's row and its score for each question, [B] each."""
        score_B, best_B = self.scores(first_twice=first_twice).max(1)
        return self.candidate.gather(1, best_B[:, None]).squeeze(1), score_B


def rank_answers(model: Model, memory: Tokens, answer: Text, k: int) -> Ranked:
    """Rank a list of answers for each question.

    Two stages as ALBEF's `rank_answer`: the k candidates with the likeliest first token, then the whole answer.
    """
    decoder = decoder_of(model)
    prepared = decoder.prepare(memory)
    questions = len(memory.x)
    start_B1 = answer.ids[:1, :1].expand(questions, 1)
    first_BV = F.log_softmax(
        decoder(start_B1, torch.ones_like(start_B1, dtype=torch.bool), prepared)[:, -1].float(), -1
    )
    first_BK, candidate_BK = first_BV[:, answer.ids[:, 1]].topk(k, dim=1)
    # In parts: at V = 30,522, 64 questions with 128 candidates would hold 10 GB of logits at once.
    size = max(1, LOGITS // (k * answer.ids.shape[1] * decoder.vocab))
    parts = torch.arange(questions, device=candidate_BK.device).split(size)
    whole_BK = torch.cat(
        [_log_probability(decoder, prepared.gather(rows), answer, candidate_BK[rows]) for rows in parts]
    )
    return Ranked(candidate_BK, first_BK, whole_BK)


def _log_probability(decoder: Decoder, memory: Prepared, answer: Text, candidate_BK: Tensor) -> Tensor:
    """Log-probability of each question's candidates, [B, K]."""
    rows_P = candidate_BK.flatten()
    longest = int(answer.mask[rows_P].sum(1).max())
    ids, mask = answer.ids[rows_P, :longest], answer.mask[rows_P, :longest]
    # Question by question in order, so that each memory row is read by its K candidates without a copy.
    logit_PLV = decoder(ids[:, :-1], mask[:, :-1], memory).float()
    token_PL = F.cross_entropy(logit_PLV.transpose(1, 2), ids[:, 1:], reduction="none") * mask[:, 1:]
    return -token_PL.sum(1).view(candidate_BK.shape)


def _by_type(values_N: np.ndarray, kinds: Sequence[str]) -> dict[str, float]:
    counted = Counter(kinds)
    sums: dict[str, float] = defaultdict(float)
    for value, kind in zip(values_N, kinds, strict=True):
        sums[kind] += float(value)
    return {f"answer type: {kind}": sums[kind] / counted[kind] for kind in sorted(counted) if kind}
