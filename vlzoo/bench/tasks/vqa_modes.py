"""How a vlzoo system answers questions: ranking a list, free decoding, or a head over the list.

Legend: B questions, A answers, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from vlzoo.bench.task import Row, Settings
from vlzoo.bench.tasks.vqa_generate import generate
from vlzoo.bench.tasks.vqa_rank import rank_answers
from vlzoo.errors import CheckpointError
from vlzoo.objectives.answer import decoder_of
from vlzoo.objectives.classify import Classify
from vlzoo.types import Batch, Text, Tokens

if TYPE_CHECKING:
    from vlzoo.bench.engine import Engine

MODES = ("rank", "generate", "classify")

ANSWER_LENGTH = 12
"""Most ids of an answer, [CLS] and [SEP] included."""

FIRST_TWICE = "answer (first token twice)"
"""What the official ranking answers: its score counts the first token's log-probability twice (docs/quirks.md)."""

Answerer = Callable[[Batch], list[Row]]


def answerer(engine: Engine, answers: Sequence[str], settings: Settings) -> Answerer:
    """How this system answers a batch of questions.

    Raises:
        CheckpointError: it was not trained for the mode asked for.
    """
    head = engine.objective(Classify)
    mode = settings.mode or ("classify" if head is not None else "rank")
    if mode == "classify":
        if head is None:
            fix = "`vlzoo finetune vqa --recipe tasks/vqa-classify` makes a run that has; or give another --mode"
            raise CheckpointError("this run has no head over answers", fix=fix)
        return _classifying(engine, head, answers)
    decoder_of(engine.system.model)
    return _ranking(engine, answers, settings.k) if mode == "rank" else _generating(engine, settings.beams)


def _memory(engine: Engine, batch: Batch) -> Tokens:
    fused = engine.step(batch).fused()
    return Tokens(fused.x, fused.mask, fused.cls)


def _ranking(engine: Engine, answers: Sequence[str], k: int) -> Answerer:
    text = engine.tokenizer(answers, sep=True, max_length=ANSWER_LENGTH)
    listed = Text(*(tensor.to(engine.device) for tensor in (text.ids, text.mask, text.special)))

    def ranking(batch: Batch) -> list[Row]:
        ranked = rank_answers(engine.system.model, _memory(engine, batch), listed, min(k, len(answers)))
        (best_B, score_B), (twice_B, _) = ranked.best(), ranked.best(first_twice=True)
        columns = zip(best_B.tolist(), score_B.tolist(), twice_B.tolist(), strict=True)
        return [
            {"answer": answers[best], "score": score, FIRST_TWICE: answers[twice]} for best, score, twice in columns
        ]

    return ranking


def _generating(engine: Engine, beams: int) -> Answerer:
    def generating(batch: Batch) -> list[Row]:
        model = engine.system.model
        made = generate(decoder_of(model), _memory(engine, batch), model.special, beams=beams, length=ANSWER_LENGTH)
        return [{"answer": engine.tokenizer.decode(ids), "score": score} for ids, score in made]

    return generating


def _classifying(engine: Engine, head: Classify, answers: Sequence[str]) -> Answerer:
    def classifying(batch: Batch) -> list[Row]:
        logit_BC: Tensor = head.logits(engine.step(batch)).float()[:, : len(answers)]
        score_B, best_B = logit_BC.log_softmax(-1).max(-1)
        return [
            {"answer": answers[best], "score": score}
            for best, score in zip(best_B.tolist(), score_B.tolist(), strict=True)
        ]

    return classifying
