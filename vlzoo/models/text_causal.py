"""A text encoder in which each word reads those before it, with a state for the whole text behind them (CoCa, CLIP).

Legend: B texts, L text tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.interfaces import TextEncoder
from vlzoo.models.blocks import Block, init_bert
from vlzoo.models.checkpointing import again
from vlzoo.models.decoder import Cache, causal, step_of
from vlzoo.models.embedding import WordEmbedding
from vlzoo.models.prepared import check_heads
from vlzoo.types import Tokens


class CausalEncoder(TextEncoder):
    """BERT layers under a causal mask; `pooled` is the state of a learned token that stands behind the text.

    That token reads all words, and no word reads it: so words have the states that a decoder gives them, one after the
    other, and `multimodal` goes on from these (CoCa's unimodal decoder, Yu et al. 2022).

    Args:
        width: D.
        layers: number of layers.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        vocab: how many ids it knows.
        max_length: how many positions there are for words.
        dropout: chance of dropping attention entries and hidden numbers.
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).
    """

    checkpoints = False

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
        check_heads(width, heads, "text_encoder causal")
        self.width, self.vocab, self.max_length = width, vocab, max_length
        self.embedding = WordEmbedding(vocab, width, max_length, dropout)
        made = (Block(width, heads, intermediate, dropout, cross=False) for _ in range(layers))
        self.stack = cast("Sequence[Block]", nn.ModuleList(made))
        self.apply(partial(init_bert, std=initializer_range))
        self.last = nn.Parameter(initializer_range * torch.randn(width))

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
            among_BLL: which of the words before it each word may read, bool; None: all.
            boxes_BL4: must be None: its words have no boxes.

        Raises:
            VlzooError: the text is longer than there are positions, or its words have kinds or boxes.
        """
        if segments_BL is not None or boxes_BL4 is not None:
            fix = "name `model.text_encoder: embedding`, which takes both"
            raise VlzooError(
                "the words have kinds or boxes, and this encoder reads none", where="text_encoder causal", fix=fix
            )
        words_BLD = self.embedding(ids_BL, positions_BL=positions_BL)
        x_BSD = torch.cat([words_BLD, self.last.to(words_BLD.dtype).expand(len(ids_BL), 1, -1)], dim=1)
        real_BS = torch.cat([mask_BL, mask_BL.new_ones(len(mask_BL), 1)], dim=1)
        allowed = causal(real_BS, real_BS.shape[1])
        if among_BLL is not None:
            among = nn.functional.pad(among_BLL, (0, 1, 0, 1), value=True)
            allowed = allowed & among[:, None]
        x_BSD = self._through(x_BSD, allowed, None)
        return Tokens(x_BSD[:, :-1], mask_BL, x_BSD[:, -1])

    def words(self, ids_BL: Tensor, seen: Tensor, cache: Cache | None = None) -> Tensor:
        """States [B, L, D] of words alone, without the token behind them: as `forward` gives them.

        Args:
            ids_BL: ids; with a cache, the new ones only.
            seen: True at real ids, those in the cache first, bool.
            cache: keys and values of the words before, whose mask the caller keeps; extended in place.
        """
        x_BLD = self.embedding(ids_BL, 0 if cache is None else len(cache))
        return self._through(x_BLD, causal(seen, ids_BL.shape[1]), cache)

    def _through(self, x_BLD: Tensor, allowed: Tensor, cache: Cache | None) -> Tensor:
        for i, block in enumerate(self.stack):
            run = partial(step_of, block, allowed, None, cache, i)
            x_BLD = again(run, x_BLD) if self.checkpoints and cache is None else run(x_BLD)
        return x_BLD
