"""Grad-CAM of the contrast: where the image encoder looked for the similarity of a picture and its text.

Legend: B pairs, H heads, N image tokens, P image tokens after the prefix.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.models.gradcam import SCALE
from vlzoo.types import Text

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model


def contrast_map(model: Model, image_B3HW: Tensor, text: Text, block: int) -> tuple[Tensor, tuple[int, int]]:
    """The [CLS] row of a block's self-attention times what it did for the similarity (ALBEF `Grounding.py`, ITC).

    The score is the sum over the pairs of cosine over temperature. For vision transformers of timm.

    Args:
        model: the model.
        image_B3HW: normalised pixels.
        text: one text for each picture.
        block: the image encoder's block, counted from 0.

    Returns:
        The map [B, P] float32 without autograd history, and the rows and columns of its patches.

    Raises:
        VlzooError: the image encoder has no such block or no self-attention over a grid.
    """
    attention = _attention(model, block)
    with torch.enable_grad(), _kept_map(attention) as kept:
        tokens = model.image_encoder(image_B3HW)
        similarity_B = (model.embed_image(tokens) * model.embed_text(model.text_encoder(text.ids, text.mask))).sum(1)
        score = (similarity_B / model.temperature).float().sum() * SCALE
        (gradient_BHNN,) = torch.autograd.grad(score, kept[0])
    if tokens.grid is None:
        raise VlzooError("this image encoder has no grid of patches")
    row_BHP = kept[0].detach()[:, :, 0, tokens.prefix :].float()
    gradient_BHP = gradient_BHNN[:, :, 0, tokens.prefix :].float() / SCALE
    return (row_BHP * gradient_BHP.clamp(min=0)).mean(dim=1), tokens.grid


def _attention(model: Model, block: int) -> Any:
    blocks = getattr(getattr(model.image_encoder, "model", None), "blocks", None)
    if not isinstance(blocks, nn.ModuleList | nn.Sequential):
        raise VlzooError("this image encoder has no blocks of self-attention", fix="use a vision transformer of timm")
    if not 0 <= block < len(blocks):
        raise VlzooError(f"there is no image block {block}", fix=f"choose 0 to {len(blocks) - 1}")
    attention = getattr(blocks[block], "attn", None)
    if not (hasattr(attention, "attn_drop") and hasattr(attention, "fused_attn")):
        raise VlzooError(f"image block {block} keeps no attention map", fix="use a plain vision transformer of timm")
    return attention


@contextmanager
def _kept_map(attention: Any) -> Iterator[list[Tensor]]:
    """The attention of the passes within, before dropout: the fast kernel, which has none, is off meanwhile."""
    kept: list[Tensor] = []
    hook = attention.attn_drop.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    before, attention.fused_attn = attention.fused_attn, False
    try:
        yield kept
    finally:
        attention.fused_attn = before
        hook.remove()
