"""A transformer over words whose layers normalise first: CLIP's causal text tower, SigLIP's that reads both ways.

Legend: B texts, L text tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.interfaces import TextEncoder
from vlzoo.models.checkpointing import again
from vlzoo.models.prenorm import PreNormBlock, init_prenorm
from vlzoo.models.prepared import check_heads, check_kinds, check_length
from vlzoo.types import Tokens

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model

_PART = "text_encoder transformer"


class TransformerEncoder(TextEncoder):
    """Word and position vectors, layers, a last LayerNorm; `pooled` is the state of one word, the last by default.

    CLIP (Radford et al. 2021): `causal`, and the last word is the end token: the tokenizer wants `sep: true`. SigLIP
    (Zhai et al. 2023): not causal, and `padded`: each text is filled up with padding that the words read, and the last
    position speaks for the text. Weights begin as CLIP's: words 0.02, positions 0.01.

    Args:
        layers: how many layers.
        width: D.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        vocab: number of ids.
        max_length: number of positions.
        dropout: chance of dropping attention entries and hidden numbers.
        causal: whether a word reads only those before it.
        padded: whether texts are filled up to `max_length` with padding tokens, which words read as they read words.
        pad_id: the id that fills them; None: the tokenizer's padding. (SigLIP's is its end token.)
        pooled: the position whose state speaks for the text: `last`, of its words or, padded, of all; or `first`.
        activation: `gelu`, `gelu_tanh` (SigLIP's), or `quick_gelu` (OpenAI's CLIP).
        epsilon: of every LayerNorm.

    Raises:
        VlzooError: the first word of a causal encoder is to speak for texts of which it has read nothing.
    """

    def __init__(
        self,
        *,
        layers: int = 12,
        width: int = 512,
        heads: int = 8,
        intermediate: int = 2048,
        vocab: int = 49408,
        max_length: int = 77,
        dropout: float = 0.0,
        causal: bool = True,
        padded: bool = False,
        pad_id: int | None = None,
        pooled: Literal["last", "first"] = "last",
        activation: Literal["gelu", "gelu_tanh", "quick_gelu"] = "gelu",
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        check_heads(width, heads, _PART)
        if causal and pooled == "first":
            what = "the first word of a causal encoder has read no other, and is to speak for the text"
            raise VlzooError(what, where=_PART, fix="set pooled: last, or causal: false")
        self.width, self.vocab, self.max_length = width, vocab, max_length
        self.causal, self.padded, self.pooled = causal, padded, pooled
        self.pad_id, self.pad, self.checkpoints = pad_id, pad_id or 0, False
        self.word, self.position = nn.Embedding(vocab, width), nn.Embedding(max_length, width)
        made = (
            PreNormBlock(width, heads, intermediate, dropout, activation=activation, epsilon=epsilon)
            for _ in range(layers)
        )
        self.stack = cast("Sequence[PreNormBlock]", nn.ModuleList(made))
        self.norm = nn.LayerNorm(width, eps=epsilon)
        nn.init.normal_(self.word.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.01)
        init_prenorm(self, width, layers)

    def meet(self, model: Model) -> None:
        """The padding token's id, which fills texts up where no other was named."""
        self.pad = model.special["pad"] if self.pad_id is None else self.pad_id

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return True

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
            segments_BL: must be None: its words are of one kind.
            among_BLL: which words each word may read, bool; a causal encoder's words read none behind them anyway.
            boxes_BL4: must be None: its words have no boxes.

        Raises:
            VlzooError: the text is longer than there are positions, or its words have kinds or boxes.
        """
        check_kinds(_PART, segments_BL, boxes_BL4)
        length = ids_BL.shape[1]
        check_length(length, self.max_length, _PART)
        more = self.max_length - length if self.padded else 0
        place_L = torch.arange(length + more, device=ids_BL.device)
        if self.padded:
            ids_BL = F.pad(ids_BL.masked_fill(~mask_BL, self.pad), (0, more), value=self.pad)
        place = self.position(place_L)
        if positions_BL is not None:
            place = torch.cat([self.position(positions_BL), place[length:].expand(len(ids_BL), -1, -1)], dim=1)
        allowed = self._allowed(mask_BL, among_BLL, more, place_L)
        x_BLD = self.word(ids_BL) + place
        for block in self.stack:
            x_BLD = (again(block, x_BLD, allowed) if self.checkpoints else block(x_BLD, allowed))[0]
        x_BLD = self.norm(x_BLD)
        return Tokens(x_BLD[:, :length], mask_BL, self._pooled(x_BLD, mask_BL))

    def _allowed(self, mask_BL: Tensor, among_BLL: Tensor | None, more: int, place_L: Tensor) -> Tensor:
        """Which positions each may read, bool, to [B, 1, L, L]."""
        allowed = torch.ones_like(mask_BL) if self.padded else mask_BL
        allowed = F.pad(allowed, (0, more), value=True)[:, None, None]
        if among_BLL is not None:
            allowed = allowed & F.pad(among_BLL, (0, more, 0, more), value=True)[:, None]
        return allowed & (place_L[None] <= place_L[:, None]) if self.causal else allowed

    def _pooled(self, x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        if self.pooled == "first":
            return x_BLD[:, 0]
        if self.padded:
            return x_BLD[:, -1]
        place_L = torch.arange(mask_BL.shape[1], device=mask_BL.device)
        last_B = (place_L * mask_BL).amax(1)
        return x_BLD.gather(1, last_B[:, None, None].expand(-1, 1, self.width))[:, 0]

    def word_embedding(self) -> nn.Parameter:
        """The word table [V, D]."""
        return cast(nn.Parameter, self.word.weight)
