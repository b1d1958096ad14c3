"""Answers behind their questions, by a decoder that reads the picture (GIT, Wang et al. 2022).

Legend: R rows (questions), A answers, L tokens, N image tokens, D width, V vocabulary, T scored tokens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vlzoo.batch import Text
from vlzoo.models.behind import check_room, joined
from vlzoo.objectives.answer import Answer
from vlzoo.step.marked import Marked
from vlzoo.step.memory import require_memory
from vlzoo.step.passes import Passes
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Spec


class PrefixAnswer(Answer):
    """As `answer`, by a decoder that reads the picture, and the question as the words before the answer's own.

    A row is `[CLS] question answer [SEP]`, and the answer's tokens alone are scored.
    """

    needs = ("decoder", "picture_decoder")

    def __init__(self) -> None:
        super().__init__()  # it begins with the question, whatever the first token of answers is

    def build(self, spec: Spec) -> None:
        """Look up the tokens that answers begin and end with."""
        super().build(spec)
        self.end = spec.special["sep"]

    def meet(self, model: Any) -> None:
        """Nothing: no image states are read."""

    def plan(self, plan: Plan) -> None:
        """Nothing: no fused state is read."""

    def prompt(self, step: Step) -> Text:
        """The questions."""
        return self._open(step.student.ids())

    def _logits(self, passes: Passes, answer: Text, row_A: Tensor, scored: Marked) -> Tensor:
        """Logits [T, V] of each scored token, from the picture, the question and the tokens before it."""
        decoder, question = passes.model.decoder, self._open(passes.ids())
        memory, size_A = decoder.prepare(require_memory(passes)), question.mask.sum(1)[row_A]
        check_room(decoder, question.ids.shape[1], answer.ids.shape[1] - 1)
        ids_AL, mask_AL = joined(question, answer, row_A)
        logit_ALV = decoder(ids_AL[:, :-1], mask_AL[:, :-1], memory, row_A)
        return logit_ALV[scored.rows, size_A[scored.rows] + scored.columns - 2]

    def _open(self, text: Text) -> Text:
        """Texts without the token that ends them: what stands behind it would be another text."""
        last_RL = torch.arange(text.ids.shape[1], device=text.ids.device) == text.mask.sum(1, keepdim=True) - 1
        return replace(text, mask=text.mask & ~(last_RL & (text.ids == self.end)))
