"""Answers as text: a causal decoder on the fused question (ALBEF's `model_vqa.py`).

Legend: B questions, A answers, L tokens, D width, V vocabulary, T scored tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.batch import Text
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.models.generate import Ends
from vlzoo.objectives.distillation import distilled
from vlzoo.step.marked import Marked, mark
from vlzoo.step.memory import require_memory
from vlzoo.step.passes import Passes
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Spec, Tokens


class Answer(Objective):
    """Cross-entropy of each answer's tokens, summed; weighted by annotators; divided by the number of questions.

    Reads `batch.texts["answer"]` (A answers, [CLS] first, [SEP] last), `extra["answer_row"]` [A] and
    `extra["answer_weight"]` [A].

    Args:
        start: name of the token that the decoder begins with in place of [CLS], of the tokenizer's special ones.
    """

    needs: ClassVar[tuple[str, ...]] = ("text_encoder", "fusion", "decoder", "fused_decoder")
    image_states = False

    def __init__(self, *, start: str = "cls") -> None:
        super().__init__()
        self.start = start

    def build(self, spec: Spec) -> None:
        """Look up the token that answers begin with.

        Raises:
            VlzooError: the tokenizer has none of this name.
        """
        self.first = Ends.of(spec.special, self.start).start

    def plan(self, plan: Plan) -> None:
        """The decoder reads every state."""
        plan.read("all", image_states=self.image_states)

    def meet(self, model: Any) -> None:
        """Remember whether the decoder reads image states."""
        self.image_states = model.decoder_reads == "all"

    def offers(self) -> Mapping[str, Any]:
        """`answers`: itself."""
        return {"answers": self}

    def forward(self, step: Step) -> Loss:
        """`(1 - alpha) CE + alpha` soft cross-entropy with the teacher's decoder."""
        answer, row_A, weight_A = _answers(step)
        answer = begun(answer, self.first)
        scored = mark(_predicted(step), row_A.device)
        target_T = answer.ids[scored.rows, scored.columns]
        logit_TV = self._logits(step.student, answer, row_A, scored)
        hard_T = F.cross_entropy(logit_TV, target_T, reduction="none")
        token_T = distilled(step, hard_T, logit_TV, lambda teacher: self._logits(teacher, answer, row_A, scored))
        total = (token_T * weight_A[scored.rows]).sum() / len(step)
        return Loss(total, {"answer": total.detach()}, len(step))

    def memory(self, step: Step) -> Tokens:
        """What the decoder reads of each question and picture, x [B, L, D]."""
        return require_memory(step.student)

    def prompt(self, step: Step) -> Text:
        """What each answer is written behind: the token that it begins with. The memory holds the question."""
        ids_R1 = torch.full((len(step), 1), self.first, device=step.batch.key.device)
        there_R1 = torch.ones_like(ids_R1, dtype=torch.bool)
        return Text(ids_R1, there_R1, there_R1)

    def _logits(self, passes: Passes, answer: Text, row_A: Tensor, scored: Marked) -> Tensor:
        """Logits [T, V] of each scored token, from the tokens before it."""
        decoder = passes.model.decoder
        memory = decoder.prepare(require_memory(passes))
        logit_ALV = decoder(answer.ids[:, :-1], answer.mask[:, :-1], memory, row_A)
        return logit_ALV[scored.rows, scored.columns - 1]


def begun(answer: Text, first: int) -> Text:
    """Answers that begin with another token than [CLS].

    Args:
        answer: texts whose first id is [CLS].
        first: id of the token.
    """
    ids_AL = answer.ids.clone()
    ids_AL[:, 0] = first
    return replace(answer, ids=ids_AL)


def _answers(step: Step) -> tuple[Text, Tensor, Tensor]:
    if "answer" not in step.batch.texts:
        raise VlzooError("objective 'answer' needs answers", fix="give it data whose samples have answers")
    extra = step.batch.extra
    return step.batch.texts["answer"], extra["answer_row"], extra["answer_weight"]


def _predicted(step: Step) -> NDArray[np.bool_]:
    """Which tokens of the answers are predicted: all real ones but the first, [A, L]."""
    chosen_AL: NDArray[np.bool_] = step.host.texts["answer"].mask.numpy(force=True).copy()
    chosen_AL[:, 0] = False
    return chosen_AL
