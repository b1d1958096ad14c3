"""Answers as text: a causal decoder on the fused question (ALBEF's `model_vqa.py`).

Legend: B questions, A answers, L tokens, D width, V vocabulary, T scored tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Decoder, Objective
from vlzoo.models.assemble import Model
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Fused, Loss, Text, Tokens


class Answer(Objective):
    """Cross-entropy of each answer's tokens, summed; weighted by annotators; divided by the number of questions.

    Reads `batch.texts["answer"]` (A answers, [CLS] first, [SEP] last), `extra["answer_row"]` [A] and
    `extra["answer_weight"]` [A].
    """

    def offers(self) -> dict[str, object]:
        """What others may use."""
        return {"answers": self}

    def plan(self, plan: Plan) -> None:
        """The decoder reads every state."""
        plan.read("all")

    def forward(self, step: Step) -> Loss:
        """`(1 - alpha) CE + alpha` soft cross-entropy with the teacher's decoder."""
        answer, row_A, weight_A = _answers(step)
        logit_TV, target_T, row_T = self._scored(step.model, step.fused(), answer, row_A)
        token_T = F.cross_entropy(logit_TV, target_T, reduction="none")
        if step.teacher is not None and step.alpha > 0:
            with torch.no_grad():
                taught_TV, _, _ = self._scored(step.teacher.model, step.taught(), answer, row_A)
                soft_TV = F.softmax(taught_TV, dim=-1)
            soft_T = -(soft_TV * F.log_softmax(logit_TV, dim=-1)).sum(-1)
            token_T = (1 - step.alpha) * token_T + step.alpha * soft_T
        total = (token_T * weight_A[row_T]).sum() / len(step)
        return Loss(total, {"answer": total.detach()})

    def _scored(self, model: Model, fused: Fused, answer: Text, row_A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [T, V] at real tokens, their targets [T], and the answer each belongs to [T]."""
        decoder = decoder_of(model)
        memory = decoder.prepare(Tokens(fused.x, fused.mask, fused.cls))
        logit_ALV = decoder(answer.ids[:, :-1], answer.mask[:, :-1], memory, row_A)
        scored_AL = answer.mask[:, 1:]
        row_AL = torch.arange(len(row_A), device=row_A.device)[:, None].expand_as(scored_AL)
        return logit_ALV[scored_AL], answer.ids[:, 1:][scored_AL], row_AL[scored_AL]


def decoder_of(model: Model) -> Decoder:
    """The model's decoder.

    Raises:
        VlzooError: it has none.
    """
    if model.decoder is None:
        raise VlzooError("this model has no decoder", fix="name one in the recipe: `model.decoder: causal`")
    return model.decoder


def _answers(step: Step) -> tuple[Text, Tensor, Tensor]:
    if "answer" not in step.batch.texts:
        raise VlzooError("objective 'answer' needs answers", fix="give it data whose samples have answers")
    extra = step.batch.extra
    return step.batch.texts["answer"], extra["answer_row"], extra["answer_weight"]
