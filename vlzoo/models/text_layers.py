"""BERT's layers as text encoder, which a fusion and a decoder may share (BLIP, Li et al. 2022).

Legend: B texts, L text tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, cast

from torch import Tensor, nn

from vlzoo.interfaces import TextEncoder
from vlzoo.models.blocks import Block, init_bert
from vlzoo.models.checkpointing import again
from vlzoo.models.decoder import Cache, step_of
from vlzoo.models.embedding import WordEmbedding
from vlzoo.models.fusion_cross import may_read
from vlzoo.models.prepared import check_heads, check_kinds
from vlzoo.types import Tokens


class LayersEncoder(TextEncoder):
    """BERT layers of our own, each word reading all; `pooled` is the first token's state.

    As `bert` without a file. A fusion `cross_attention` with `shared: true` puts its cross-attention between these
    layers, and a decoder `causal` with `shared: true` has what is behind its self-attention from that fusion.

    Args:
        width: D.
        layers: number of layers.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        vocab: how many ids it knows.
        max_length: how many positions there are.
        dropout: chance of dropping attention entries and hidden numbers.
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).
    """

    checkpoints = False
    part: ClassVar[str] = "layers"

    def __init__(
        self,
        *,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        intermediate: int = 3072,
        vocab: int = 30522,
        max_length: int = 512,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
    ) -> None:
        super().__init__()
        check_heads(width, heads, f"text_encoder {self.part}")
        self.width, self.vocab, self.max_length = width, vocab, max_length
        self.embedding = WordEmbedding(vocab, width, max_length, dropout)
        made = (Block(width, heads, intermediate, dropout, cross=False) for _ in range(layers))
        self.stack = cast("Sequence[Block]", nn.ModuleList(made))
        self.apply(partial(init_bert, std=initializer_range))

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return True

    def word_embedding(self) -> nn.Parameter:
        """The word table [V, D]."""
        return cast("nn.Parameter", self.embedding.word.weight)

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
        """Tokens of ids [B, L] int64 with their padding mask [B, L] bool.

        Args:
            ids_BL: ids, int64.
            mask_BL: True where a token is real.
            positions_BL: where each token stands, int64; None: 0, 1, 2, ...
            segments_BL: must be None: it knows one kind of word.
            among_BLL: which words each word may read, bool; None: all (`causal`: all before it).
            boxes_BL4: must be None: its words have no boxes.

        Raises:
            VlzooError: the text is longer than there are positions, or its words have kinds or boxes.
        """
        words = self.embedded(ids_BL, mask_BL, positions_BL=positions_BL, segments_BL=segments_BL, boxes_BL4=boxes_BL4)
        return self.after(words, among_BLL)

    def embedded(
        self,
        ids_BL: Tensor,
        mask_BL: Tensor,
        *,
        positions_BL: Tensor | None = None,
        segments_BL: Tensor | None = None,
        boxes_BL4: Tensor | None = None,
    ) -> Tokens:
        """Word and position vectors, before any layer: where a fusion begins that shares the layers."""
        check_kinds(f"text_encoder {self.part}", segments_BL, boxes_BL4)
        x_BLD = self.embedding(ids_BL, positions_BL=positions_BL)
        return Tokens(x_BLD, mask_BL, x_BLD[:, 0])

    def after(self, words: Tokens, among_BLL: Tensor | None) -> Tokens:
        """Tokens after the layers, of those before."""
        x_BLD = self.through(words.x, may_read(words.mask, among_BLL))
        return Tokens(x_BLD, words.mask, x_BLD[:, 0])

    def through(self, x_BLD: Tensor, allowed: Tensor, cache: Cache | None = None) -> Tensor:
        """States after all layers, [B, L, D]; what may be read is told, and a cache extended in place."""
        for i, block in enumerate(self.stack):
            run = partial(step_of, block, allowed, None, cache, i)
            x_BLD = again(run, x_BLD) if self.checkpoints and cache is None else run(x_BLD)
        return x_BLD
