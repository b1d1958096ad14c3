"""BERT's embedding layer, and the text encoder that is nothing else.

Legend: B texts, L text tokens, D width, V vocabulary.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.interfaces import TextEncoder
from vlzoo.models.blocks import EPSILON, init_bert
from vlzoo.types import Tokens


class WordEmbedding(nn.Module):
    """Word, position and token-type vectors, summed, normalised, dropped out.

    Args:
        vocab: V.
        width: D.
        max_length: how many positions there are.
        dropout: chance of dropping a number.
    """

    def __init__(self, vocab: int, width: int, max_length: int, dropout: float) -> None:
        super().__init__()
        self.word, self.position = nn.Embedding(vocab, width), nn.Embedding(max_length, width)
        self.kind = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = dropout
        self.apply(init_bert)

    def forward(self, ids_BL: Tensor, start: int = 0, *, positions_BL: Tensor | None = None) -> Tensor:
        """Vectors [B, L, D] of ids that stand at positions `start` onwards, or at `positions_BL` int64.

        Raises:
            VlzooError: the text is longer than there are positions.
        """
        end, room = start + ids_BL.shape[1], self.position.num_embeddings
        if end > room:
            raise VlzooError(
                f"a text of {end} tokens is longer than the {room} positions of the model",
                fix="raise the part's max_length, or lower the tokenizer's",
            )
        place = self.position.weight[start:end] if positions_BL is None else self.position(positions_BL)
        summed = self.word(ids_BL) + self.kind + place
        return F.dropout(self.norm(summed), self.dropout, self.training)


class EmbeddingEncoder(TextEncoder):
    """Word and position vectors alone: the text side of single-stream models.

    Its first state is equal for all texts, so nothing may be compared or ranked by it.

    Args:
        width: D of the tokens it gives.
        vocab: how many ids it knows.
        max_length: how many positions there are.
        dropout: chance of dropping a number.
    """

    reads_whole = False

    def __init__(self, *, width: int = 768, vocab: int = 30522, max_length: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.width, self.vocab = width, vocab
        self.embedding = WordEmbedding(vocab, width, max_length, dropout)

    def forward(
        self,
        ids_BL: Tensor,
        mask_BL: Tensor,
        *,
        positions_BL: Tensor | None = None,
        segments_BL: Tensor | None = None,
        among_BLL: Tensor | None = None,
    ) -> Tokens:
        """Tokens of ids [B, L]; `pooled` is the first token's vector.

        Args:
            ids_BL: ids, int64.
            mask_BL: True where a token is real.
            positions_BL: where each token stands, int64; None: 0, 1, 2, ...
            segments_BL: must be None: there is one kind of word.
            among_BLL: which words each word may read: no word reads another here.

        Raises:
            VlzooError: the texts have segments.
        """
        if segments_BL is not None:
            raise VlzooError("this encoder knows one kind of word, and the texts have segments", fix="use `bert`")
        x_BLD = self.embedding(ids_BL, positions_BL=positions_BL)
        return Tokens(x_BLD, mask_BL, x_BLD[:, 0])

    def word_embedding(self) -> nn.Parameter:
        """The word table [V, D]."""
        return cast("nn.Parameter", self.embedding.word.weight)
