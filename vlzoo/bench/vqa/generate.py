"""Free decoding by beam search; one beam is greedy decoding.

Legend: B memory rows, W beams, P = B W beams of all rows, L tokens so far, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.interfaces import Decoder
from vlzoo.models.decoder import Cache
from vlzoo.types import Tokens


def generate(
    decoder: Decoder, memory: Tokens, special: Mapping[str, int], *, beams: int = 1, length: int = 12
) -> list[tuple[list[int], float]]:
    """The likeliest text for each memory row: its ids, special ones included, and its log-probability.

    The log-probability is the plain sum over tokens, [SEP] included, as `rank` sums it: no length penalty, so that
    both modes agree where the beam holds every answer.

    Args:
        decoder: reads the memory.
        memory: tokens of B rows.
        special: ids of `cls`, which starts a text, `sep`, which ends it, and `pad`.
        beams: how many texts are kept at each step.
        length: most ids of a text, [CLS] and [SEP] included.
    """
    questions, device = len(memory.x), memory.x.device
    prepared, cache = decoder.prepare(memory), Cache()
    row_P = torch.arange(questions, device=device).repeat_interleave(beams)
    ids_PL = torch.full((questions * beams, 1), special["cls"], device=device)
    # All beams of a row start alike: only the first counts, or every beam would say the same.
    score_BW = torch.full((questions, beams), -torch.inf, device=device)
    score_BW[:, 0] = 0.0
    ended_P = torch.zeros(len(row_P), dtype=torch.bool, device=device)
    for _ in range(length - 1):
        real_P1 = torch.ones(len(row_P), 1, dtype=torch.bool, device=device)
        logit_PV = decoder(ids_PL[:, -1:], real_P1, prepared, row_P, cache)[:, -1].float()
        gain_PV = _gains(logit_PV, ended_P, special["pad"])
        score_BW, beam_P, token_P = _best(score_BW, gain_PV)
        ids_PL = torch.cat([ids_PL[beam_P], token_P[:, None]], dim=1)
        ended_P = ended_P[beam_P] | (token_P == special["sep"])
        if bool(ended_P.all()):
            break
        cache = cache.gather(beam_P)
    return _best_beams(ids_PL, score_BW)


def _gains(logit_PV: Tensor, ended_P: Tensor, pad: int) -> Tensor:
    """Log-probability of each next token; a text that has ended goes on with padding, at no cost."""
    gain_PV = F.log_softmax(logit_PV, dim=-1)
    gain_PV = gain_PV.masked_fill(ended_P[:, None], -torch.inf)
    gain_PV[:, pad] = torch.where(ended_P, torch.zeros_like(gain_PV[:, pad]), gain_PV.new_tensor(-torch.inf))
    return gain_PV


def _best(score_BW: Tensor, gain_PV: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations of each row: their scores [B, W], the beams they continue [P], their tokens [P]."""
    questions, beams = score_BW.shape
    total_BX = (score_BW[:, :, None] + gain_PV.view(questions, beams, -1)).flatten(1)
    best_BW, at_BW = total_BX.topk(beams, dim=1)
    first_B1 = torch.arange(questions, device=at_BW.device)[:, None] * beams
    vocab = gain_PV.shape[1]
    return best_BW, (first_B1 + at_BW // vocab).flatten(), (at_BW % vocab).flatten()


def _best_beams(ids_PL: Tensor, score_BW: Tensor) -> list[tuple[list[int], float]]:
    score_B, beam_B = score_BW.max(1)
    row_B = torch.arange(len(score_B), device=beam_B.device) * score_BW.shape[1] + beam_B
    return list(zip(ids_PL[row_B].tolist(), score_B.tolist(), strict=True))
