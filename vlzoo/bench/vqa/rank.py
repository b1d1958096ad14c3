"""VQA by ranking a list of answers with the decoder, in two stages (ALBEF, Li et al. 2021).

Legend: B questions, A answers, K candidates, S tokens before an answer, L answer tokens, P pairs of both, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.batch import Text
from vlzoo.interfaces import Decoder, Prepared
from vlzoo.models.assemble import Model
from vlzoo.models.behind import check_room, of_equal_length
from vlzoo.models.decoder import Cache
from vlzoo.types import Tokens

LOGITS = 50_000_000
"""Most logits held at once while answers are ranked: 200 MB."""


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


def rank_answers(model: Model, memory: Tokens, answer: Text, k: int, prompt: Text | None = None) -> Ranked:
    """Rank a list of answers for each question.

    Two stages as ALBEF's `rank_answer`: the k candidates with the likeliest first token, then the whole answer.

    Args:
        model: whose decoder ranks.
        memory: what it reads of each question.
        answer: the list, A texts.
        k: K.
        prompt: what answers stand behind, in place of their first token, B rows; None: that token alone.

    Raises:
        VlzooError: the decoder has fewer positions than a prompt and an answer need.
    """
    if prompt is None:
        return _ranked(model.decoder, memory, answer, k, answer.ids[:1, :1].expand(len(memory.x), 1))
    parts, rows_B = list[Ranked](), list[Tensor]()
    for rows, ids_BS in of_equal_length(prompt):
        check_room(model.decoder, ids_BS.shape[1], answer.ids.shape[1] - 1)
        parts.append(_ranked(model.decoder, memory.gather(rows), answer, k, ids_BS))
        rows_B.append(rows)
    back_B = torch.cat(rows_B).argsort()
    return Ranked(*(torch.cat(each)[back_B] for each in zip(*parts, strict=True)))


def _ranked(decoder: Decoder, memory: Tokens, answer: Text, k: int, start_BS: Tensor) -> Ranked:
    """Of questions whose answers stand behind equally many tokens."""
    questions, prepared, cache = len(memory.x), decoder.prepare(memory), Cache()
    real_BS = torch.ones_like(start_BS, dtype=torch.bool)
    first_BV = F.log_softmax(decoder(start_BS, real_BS, prepared, None, cache)[:, -1].float(), -1)
    # Stable: answers that share their first token are level, and the list's order decides between them.
    first_BA, order_BA = first_BV[:, answer.ids[:, 1]].sort(dim=1, descending=True, stable=True)
    first_BK, candidate_BK = first_BA[:, :k], order_BA[:, :k]
    # In parts: at V = 30,522, 64 questions with 128 candidates would hold 10 GB of logits at once.
    size = max(1, LOGITS // (k * answer.ids.shape[1] * decoder.vocab))
    parts = torch.arange(questions, device=candidate_BK.device).split(size)
    rest_BK = [
        _log_probability(decoder, prepared.gather(rows), cache.gather(rows), answer, candidate_BK[rows])
        for rows in parts
    ]
    return Ranked(candidate_BK, first_BK, first_BK + torch.cat(rest_BK))


def _log_probability(decoder: Decoder, memory: Prepared, cache: Cache, answer: Text, candidate_BK: Tensor) -> Tensor:
    """Log-probability of what follows the first token of each candidate, [B, K]; `cache` holds what stands before."""
    questions, k = candidate_BK.shape
    rows_P = candidate_BK.flatten()
    longest = int(answer.mask[rows_P].sum(1).max())
    ids, mask = answer.ids[rows_P, 1:longest], answer.mask[rows_P, 1:longest]
    begun = cache.gather(torch.arange(questions, device=rows_P.device).repeat_interleave(k))
    # Question by question in order, so that each memory row is read by its K candidates without a copy.
    logit_PLV = decoder(ids[:, :-1], mask[:, :-1], memory, None, begun).float()
    token_PL = F.cross_entropy(logit_PLV.transpose(1, 2), ids[:, 1:], reduction="none") * mask[:, 1:]
    return -token_PL.sum(1).view(candidate_BK.shape)
