"""BERT's embedding layer, and the text encoder that is nothing else.

Legend: B texts, L text tokens, D width, V vocabulary, S kinds of words.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.interfaces import TextEncoder
from vlzoo.models.blocks import EPSILON, init_bert
from vlzoo.models.boxes import corners_and_sides
from vlzoo.models.prepared import check_length
from vlzoo.types import Tokens


class WordEmbedding(nn.Module):
    """Word, position and token-type vectors, summed, normalised, dropped out.

    Args:
        vocab: V.
        width: D.
        max_length: how many positions there are.
        dropout: chance of dropping a number.
        segments: S, how many kinds of words there are: BERT has two, a first sentence and a second.
        boxes: whether a word may have a box, whose numbers are projected and added.
    """

    def __init__(
        self, vocab: int, width: int, max_length: int, dropout: float, *, segments: int = 1, boxes: bool = False
    ) -> None:
        super().__init__()
        self.word, self.position = nn.Embedding(vocab, width), nn.Embedding(max_length, width)
        self.kind = nn.Parameter(torch.zeros(width))
        # Apart from the first, so that a model of one kind has the weights it always had.
        self.other_kinds = nn.Parameter(torch.zeros(segments - 1, width)) if segments > 1 else None
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = dropout
        self.apply(init_bert)
        self.box = nn.Linear(6, width, bias=False) if boxes else None  # without bias: a word without a box has none
        if self.box is not None:
            init_bert(self.box)

    def forward(
        self,
        ids_BL: Tensor,
        start: int = 0,
        *,
        positions_BL: Tensor | None = None,
        segments_BL: Tensor | None = None,
        boxes_BL4: Tensor | None = None,
    ) -> Tensor:
        """Vectors [B, L, D] of ids that stand at positions `start` onwards, or at `positions_BL` int64.

        Args:
            ids_BL: ids, int64.
            start: the first one's position.
            positions_BL: each one's.
            segments_BL: the kind of each word, int64 below S; None: all 0.
            boxes_BL4: left, top, right, bottom of each word's box in shares of the picture, zeros where it has none.

        Raises:
            VlzooError: the text is longer than there are positions, or it has kinds or boxes that nothing is known of.
        """
        end = start + ids_BL.shape[1]
        check_length(end, self.position.num_embeddings)
        place = self.position.weight[start:end] if positions_BL is None else self.position(positions_BL)
        summed = self.word(ids_BL) + self._kinds(segments_BL) + place
        if boxes_BL4 is not None:
            if self.box is None:
                raise VlzooError("the words have boxes, and this encoder reads none", fix="set its option boxes: true")
            summed = summed + self.box(corners_and_sides(boxes_BL4).to(summed.dtype))
        return F.dropout(self.norm(summed), self.dropout, self.training)

    def _kinds(self, segments_BL: Tensor | None) -> Tensor:
        if segments_BL is None:
            return self.kind
        if self.other_kinds is None:
            raise VlzooError(
                "this encoder knows one kind of word, and the texts have segments",
                fix="set its option segments: 2, or use `bert`",
            )
        return F.embedding(segments_BL, torch.cat([self.kind[None], self.other_kinds]))


class EmbeddingEncoder(TextEncoder):
    """Word and position vectors alone: the text side of single-stream models.

    Its first state is equal for all texts, so nothing may be compared or ranked by it.

    Args:
        width: D of the tokens it gives.
        vocab: how many ids it knows.
        max_length: how many positions there are.
        dropout: chance of dropping a number.
        segments: how many kinds of words there are; 2 where a picture's tags stand beside a sentence (Oscar).
        boxes: whether words may have boxes, as a detector's tags do (U-VisualBERT).
    """

    reads_whole = False

    def __init__(
        self,
        *,
        width: int = 768,
        vocab: int = 30522,
        max_length: int = 512,
        dropout: float = 0.1,
        segments: int = 1,
        boxes: bool = False,
    ) -> None:
        super().__init__()
        self.width, self.vocab, self.max_length = width, vocab, max_length
        self.embedding = WordEmbedding(vocab, width, max_length, dropout, segments=segments, boxes=boxes)

    def forward(
        self,
        ids_BL: Tensor,
        mask_BL: Tensor,
        *,
        positions_BL: Tensor | None = None,
        segments_BL: Tensor | None = None,
        among_BLL: Tensor | None = None,
        boxes_BL4: Tensor | None = None,
    ) -> Tokens:
        """Tokens of ids [B, L]; `pooled` is the first token's vector.

        Args:
            ids_BL: ids, int64.
            mask_BL: True where a token is real.
            positions_BL: where each token stands, int64; None: 0, 1, 2, ...
            segments_BL: the kind of each word, int64; None: all 0.
            among_BLL: which words each word may read: no word reads another here.
            boxes_BL4: the box of each word; None: no word has one.

        Raises:
            VlzooError: the texts have segments or boxes, and the encoder was made without.
        """
        x_BLD = self.embedding(ids_BL, positions_BL=positions_BL, segments_BL=segments_BL, boxes_BL4=boxes_BL4)
        return Tokens(x_BLD, mask_BL, x_BLD[:, 0])

    def word_embedding(self) -> nn.Parameter:
        """The word table [V, D]."""
        return cast("nn.Parameter", self.embedding.word.weight)
