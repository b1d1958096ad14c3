"""How a model answers questions; a run of vlzoo: by ranking a list, free decoding, or a head over the list.

Legend: B questions, A answers, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vlzoo.batch import Batch, Text
from vlzoo.bench.engine import Engine
from vlzoo.bench.model import BenchModel
from vlzoo.bench.vqa.rank import rank_answers
from vlzoo.data.answers import ANSWER_LENGTH, FIRST_TWICE
from vlzoo.errors import CheckpointError
from vlzoo.models.behind import generate_behind
from vlzoo.models.generate import Decoding
from vlzoo.offers import Answers, Classes
from vlzoo.types import Row, Tokens

if TYPE_CHECKING:
    from vlzoo.bench.vqa.task import Vqa

Answerer = Callable[[Any], list[Row]]
"""From a batch of questions to a row each: `answer` and `score`."""


@singledispatch
def answerer(model: BenchModel, task: Vqa) -> Answerer:
    """How a model answers questions, as the task's options ask; a family registers its own.

    Raises:
        CheckpointError: the model can't answer in the mode asked for.
    """
    model.cannot(task.name)


@answerer.register(Engine)
def _(model: Engine, task: Vqa) -> Answerer:
    head: Classes | None = model.offered("classes")
    mode = task.mode or ("classify" if head is not None else "rank")
    if mode == "classify":
        if head is None:
            fix = "`vlzoo finetune vqa --recipe tasks/vqa-classify` makes a run that has; or give another --mode"
            raise CheckpointError("this run has no head over answers", fix=fix)
        answering = _classifying(model, head, task.candidates)
    else:
        assert model.system.model.decoder  # a model without one is refused here, by name
        answering = _ranking(model, task.candidates, task.k) if mode == "rank" else _generating(model, task.beams)

    @torch.no_grad()
    def answer(batch: Batch) -> list[Row]:
        with model.autocast():
            return [{**row, "mode": mode} for row in answering(batch)]

    return answer


def _asked(engine: Engine, batch: Batch) -> tuple[Tokens, Text]:
    """What the decoder reads of each question, and what its answer is written behind."""
    offered: Answers = engine.system.offered("answers")
    step = engine.step(batch)
    return offered.memory(step), offered.prompt(step)


def _ranking(engine: Engine, answers: Sequence[str], k: int) -> Answerer:
    listed = engine.tokenizer(answers, sep=True, max_length=ANSWER_LENGTH).to(engine.device)

    def ranking(batch: Batch) -> list[Row]:
        memory, prompt = _asked(engine, batch)
        ranked = rank_answers(engine.system.model, memory, listed, min(k, len(answers)), prompt)
        (best_B, score_B), (twice_B, _) = ranked.best(), ranked.best(first_twice=True)
        columns = zip(best_B.tolist(), score_B.tolist(), twice_B.tolist(), strict=True)
        return [
            {"answer": answers[best], "score": score, FIRST_TWICE: answers[twice]} for best, score, twice in columns
        ]

    return ranking


def _generating(engine: Engine, beams: int) -> Answerer:
    # Without a length penalty: where the beams hold every answer, `rank` gives the same one, with the same score.
    decoding = Decoding(beams=beams, length=ANSWER_LENGTH)

    def generating(batch: Batch) -> list[Row]:
        model, (memory, prompt) = engine.system.model, _asked(engine, batch)
        made = generate_behind(model.decoder, memory, model.special, decoding, prompt)
        return [{"answer": engine.tokenizer.decode(ids), "score": score} for ids, score in made]

    return generating


def _classifying(engine: Engine, head: Classes, answers: Sequence[str]) -> Answerer:
    def classifying(batch: Batch) -> list[Row]:
        logit_BC: Tensor = head(engine.step(batch)).float()[:, : len(answers)]
        score_B, best_B = logit_BC.log_softmax(-1).max(-1)
        return [
            {"answer": answers[best], "score": score}
            for best, score in zip(best_B.tolist(), score_B.tolist(), strict=True)
        ]

    return classifying
