"""Many texts of different length read one picture, without padding: what re-ranking needs of cross-attention fusion.

All that works token by token (projections, feed-forward, norms) sees the real tokens of all texts as one long row, and
so does cross-attention, since the texts share the picture. Only self-attention must keep texts apart, and there alone
they are padded. The same results as `fuse`, in fewer and larger products.

Legend: P texts, L tokens of the longest, n real tokens of all texts, N image tokens, D width, H heads, d head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vlzoo.interfaces import Prepared
from vlzoo.models.attention import attend, join_heads, split_heads
from vlzoo.models.blocks import SelfAttention
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.prepared import as_kv, reading


@dataclass(frozen=True)
class Places:
    """Where the real tokens stand.

    Attributes:
        mask: True at them, [P, L].
        flat: their places in the padded texts laid end to end, [n].
        first: the place of each text's first token among the real ones, [P].
    """

    mask: Tensor
    flat: Tensor
    first: Tensor

    def padded(self, x_nD: Tensor) -> Tensor:
        """Real tokens as padded texts, [P, L, D]; zeros elsewhere."""
        texts, length = self.mask.shape
        whole = x_nD.new_zeros(texts * length, x_nD.shape[-1])
        return whole.index_copy_(0, self.flat, x_nD).view(texts, length, -1)


def places(mask_PL: Tensor) -> Places:
    """The places of texts padded at the end."""
    length_P = mask_PL.sum(1)
    return Places(mask_PL, mask_PL.flatten().nonzero().squeeze(1), length_P.cumsum(0) - length_P)


def first_states(fusion: CrossAttentionFusion, text_PLD: Tensor, mask_PL: Tensor, prepared: Prepared) -> Tensor:
    """The first position's state of each text after fusion with the one prepared picture, [P, D].

    Args:
        fusion: in evaluation mode, made for one picture.
        text_PLD: tokens of P texts.
        mask_PL: True where a token is real; padding stands at the end.
        prepared: keys and values of one picture.
    """
    where = places(mask_PL)
    x_nD = fusion.begun(text_PLD).flatten(0, 1)[where.flat]
    for i, layer in enumerate(fusion.stack):
        block, read = layer.blocks[0], reading(as_kv(prepared), i, None)
        x_nD = _among_themselves(block.attention, x_nD, where, firsts=i == fusion.layers - 1)
        if block.cross is not None:
            x_nD = block.cross(x_nD[None], read.keys, read.allowed)[0][0]
        x_nD = block.feed_forward(x_nD)
    return x_nD


def _among_themselves(attention: SelfAttention, x_nD: Tensor, where: Places, *, firsts: bool) -> Tensor:
    """Self-attention of each text, [n, D]; of the first positions alone, [P, D], where `firsts`."""
    key, value = (
        split_heads(where.padded(project(x_nD)), attention.heads) for project in (attention.key, attention.value)
    )
    queried = x_nD[where.first] if firsts else x_nD
    query_xD = attention.query(queried)
    query_PXD = query_xD[:, None] if firsts else where.padded(query_xD)
    read = attend(split_heads(query_PXD, attention.heads), key, value, where.mask[:, None, None, :])
    joined: Tensor = join_heads(read).flatten(0, 1)
    return attention.output(joined if firsts else joined[where.flat], queried)


def can_pack(fusion: torch.nn.Module) -> bool:
    """Whether a fusion is the plain cross-attention for one picture; a sub-class may do otherwise."""
    return type(fusion) is CrossAttentionFusion and fusion.images == 1
