"""Beam search, by the rules that transformers documents of its own.

Legend: B rows, W beams, P = B W beams of all rows, K = 2 W continuations, S ids of the prompt, L ids so far, T ids of
the longest text, V vocabulary, X = W V.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.interfaces import Decoder, Prepared
from vlzoo.models.rules import Rules


class Ended(NamedTuple):
    """The best W texts of each row that have ended, the best one first.

    Attributes:
        ids: theirs, [B, W, T] int64; what stands behind a text's length means nothing.
        lengths: how many ids each has, [B, W] int64.
        scores: [B, W]; minus infinity where fewer have ended.
        over: whether nothing that still runs can win, [B] bool.
    """

    ids: Tensor
    lengths: Tensor
    scores: Tensor
    over: Tensor

    @classmethod
    def empty(cls, rows: int, beams: int, length: int, device: torch.device) -> Ended:
        """None have, of `rows` rows whose texts have `length` ids at most."""
        zeros_BW = torch.zeros(rows, beams, dtype=torch.int64, device=device)
        ids_BWT = zeros_BW[..., None].repeat(1, 1, length)
        return cls(ids_BWT, zeros_BW, torch.full_like(zeros_BW, -torch.inf, dtype=torch.float32), zeros_BW[:, 0].bool())

    def joined(self, score_BW: Tensor, ids_BWL: Tensor) -> Ended:
        """With texts that may have ended just now (minus infinity: not), where the row is not settled."""
        score_BW = score_BW.masked_fill(self.over[:, None], -torch.inf)
        beams, length = score_BW.shape[1], ids_BWL.shape[2]
        best_BW, at_BW = torch.cat([self.scores, score_BW], dim=1).topk(beams, dim=1)
        longer_BWT = F.pad(ids_BWL, (0, self.ids.shape[2] - length))  # what is behind a text's length is not read
        all_ids = torch.cat([self.ids, longer_BWT], dim=1)
        lengths = torch.cat([self.lengths, torch.full_like(self.lengths, length)], dim=1)
        ids_BWT = all_ids.gather(1, at_BW[..., None].expand(-1, -1, all_ids.shape[2]))
        return self._replace(ids=ids_BWT, lengths=lengths.gather(1, at_BW), scores=best_BW)

    def settled(self, running_B: Tensor, penalty: float) -> Ended:
        """With the rows settled whose best running score can't win.

        Up to a penalty of 0 scores only fall, and none that is behind the best text comes before it. Above, by
        transformers' rule: W texts have ended, and the running score, at its length as it is, is behind them all.
        """
        limit_B = self.scores[:, 0] if penalty <= 0 else self.scores.min(1).values
        return self._replace(over=self.over | (running_B <= limit_B))


def searched(decoder: Decoder, prepared: Prepared, cache: Any, ids_BS: Tensor, logit_BV: Tensor, rules: Rules) -> Ended:
    """The best texts that the beams of each row have ended with, the best one first.

    Args:
        decoder: writes.
        prepared: what it reads, of B rows.
        cache: keys and values of the prompt.
        ids_BS: the prompt.
        logit_BV: of the first word behind it.
        rules: what may be written.
    """
    how, ends, beams = rules.how, rules.ends, rules.how.beams
    rows, device = len(ids_BS), ids_BS.device
    first_B1 = torch.arange(rows, device=device)[:, None] * beams
    own_P = torch.arange(rows, device=device).repeat_interleave(beams)
    cache, ids_PL, logit_PV = cache.gather(own_P), ids_BS[own_P], logit_BV[own_P]
    node_P = torch.zeros_like(own_P)
    # All beams of a row start alike: only the first counts, or every beam would say the same.
    score_BW = logit_BV.new_full((rows, beams), -torch.inf, dtype=torch.float32)
    score_BW[:, 0] = 0.0
    done = Ended.empty(rows, beams, how.length, device)
    while True:
        gain_PV = rules.allowed(F.log_softmax(logit_PV.float(), dim=-1), ids_PL, node_P)
        total_BX = (score_BW[..., None] + gain_PV.unflatten(0, (rows, beams))).flatten(1)
        total_BK, at_BK = total_BX.topk(2 * beams, dim=1)
        beam_BK, token_BK = first_B1 + at_BK // gain_PV.shape[1], at_BK % gain_PV.shape[1]
        length = ids_PL.shape[1] + 1
        ended_BK = (token_BK == ends.end) | (length == how.length)
        # What ends is kept if it is among the best W; the others stand ready to take its place.
        over_BW = rules.score(total_BK, length - rules.prompt).masked_fill(~ended_BK, -torch.inf)[:, :beams]
        text_BWL = torch.cat([ids_PL[beam_BK[:, :beams]], token_BK[:, :beams, None]], dim=2)
        done = done.joined(over_BW, text_BWL)
        score_BW, place_BW = total_BK.masked_fill(ended_BK, -torch.inf).topk(beams, dim=1)
        done = done.settled(rules.score(score_BW[:, 0], length - rules.prompt), how.length_penalty)
        if length == how.length or bool(done.over.all()):
            break
        beam_P, token_P = beam_BK.gather(1, place_BW).flatten(), token_BK.gather(1, place_BW).flatten()
        ids_PL = torch.cat([ids_PL[beam_P], token_P[:, None]], dim=1)
        node_P, cache = rules.node(node_P[beam_P], token_P), cache.gather(beam_P)
        real_P1 = torch.ones_like(token_P[:, None], dtype=torch.bool)
        logit_PV = decoder(token_P[:, None], real_P1, prepared, None, cache)[:, -1]
    return done
