"""Heads on fused states.

Legend: T positions, D width, W width of the word table, V vocabulary, B rows, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import UnknownName, did_you_mean
from vlzoo.models.blocks import EPSILON, init_bert


class MlmHead(nn.Module):
    """BERT's vocabulary head: dense, GELU, LayerNorm, then the word table as decoder, with a bias of its own.

    Meant to be called on the masked positions alone: at V = 30,522 it is the dearest part of a step.

    Args:
        width: D of the states it reads.
        embedding: the word table [V, W] it is tied to; None: a table of its own, of `vocab` rows.
        vocab: V, where there is no table to be tied to.
    """

    def __init__(self, width: int, embedding: Tensor | None = None, *, vocab: int = 0) -> None:
        super().__init__()
        table_width = width if embedding is None else embedding.shape[1]
        self.dense = nn.Linear(width, table_width)
        self.norm = nn.LayerNorm(table_width, eps=EPSILON)
        self.apply(init_bert)
        self.embedding = nn.Parameter(0.02 * torch.randn(vocab, table_width)) if embedding is None else embedding
        self.bias = nn.Parameter(torch.zeros(len(self.embedding)))

    def forward(self, x_TD: Tensor) -> Tensor:
        """Logits [T, V] of states [T, D]; any further leading axes are kept."""
        return F.linear(self.norm(F.gelu(self.dense(x_TD))), self.embedding, self.bias)


def vocabulary_head(kind: str, width: int, table: nn.Parameter, *, std: float, where: str) -> nn.Module:
    """A decoder's head: states [..., D] to logits [..., V].

    Args:
        kind: `linear`: weights of its own (GIT, CoCa); `bert`: BERT's head, tied to the word table.
        width: D.
        table: the word table [V, D].
        std: standard deviation of its random weights.
        where: whose head it is, for the message.

    Raises:
        UnknownName: `kind` is neither.
    """
    if kind == "bert":
        return MlmHead(width, table)
    if kind != "linear":
        raise UnknownName(
            f"head can't be {kind!r}", where=where, fix=did_you_mean(str(kind), ("linear", "bert"), what="choices")
        )
    made = nn.Linear(width, len(table))
    init_bert(made, std)
    return made


def norm_mlp(width: int, out: int) -> nn.Sequential:
    """Linear to twice the width, LayerNorm, GELU, Linear: X-VLM's head for matching, classes and boxes."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.GELU(), nn.Linear(2 * width, out))


class Mlp(nn.Module):
    """Linear, ReLU, Linear: ALBEF's head for SNLI-VE and NLVR2.

    Args:
        width: D of the states it reads, and of its hidden layer.
        classes: C.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.hidden, self.classes = nn.Linear(width, width), nn.Linear(width, classes)

    def forward(self, x_BD: Tensor) -> Tensor:
        """Logits [B, C]."""
        return self.classes(F.relu(self.hidden(x_BD)))
