"""A text encoder in which each word reads those before it, with a state for the whole text behind them (CoCa, CLIP).

Legend: B texts, L text tokens, D width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.models.decoder import Cache, causal
from vlzoo.models.text_layers import LayersEncoder
from vlzoo.types import Tokens


class CausalEncoder(LayersEncoder):
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

    part: ClassVar[str] = "causal"

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
        super().__init__(
            width=width,
            layers=layers,
            heads=heads,
            intermediate=intermediate,
            vocab=vocab,
            max_length=max_length,
            dropout=dropout,
            initializer_range=initializer_range,
        )
        self.last = nn.Parameter(initializer_range * torch.randn(width))

    def after(self, words: Tokens, among_BLL: Tensor | None) -> Tokens:
        """Tokens after the layers, and the state of the token behind them."""
        last_B1D = self.last.to(words.x.dtype).expand(len(words.x), 1, -1)
        real_BS = torch.cat([words.mask, words.mask.new_ones(len(words.mask), 1)], dim=1)
        allowed = causal(real_BS, real_BS.shape[1])
        if among_BLL is not None:
            allowed = allowed & F.pad(among_BLL, (0, 1, 0, 1), value=True)[:, None]
        x_BSD = self.through(torch.cat([words.x, last_B1D], dim=1), allowed)
        return Tokens(x_BSD[:, :-1], words.mask, x_BSD[:, -1])

    def words(self, ids_BL: Tensor, seen: Tensor, cache: Cache | None = None) -> Tensor:
        """States [B, L, D] of words alone, without the token behind them: as `forward` gives them.

        Args:
            ids_BL: ids; with a cache, the new ones only.
            seen: True at real ids, those in the cache first, bool.
            cache: keys and values of the words before, whose mask the caller keeps; extended in place.
        """
        x_BLD = self.embedding(ids_BL, 0 if cache is None else len(cache))
        return self.through(x_BLD, causal(seen, ids_BL.shape[1]), cache)
