"""Grad-CAM of the contrast: where the image encoder looked for the similarity of a picture and its text.

Legend: B pairs, H heads, N image tokens, P image tokens after the prefix, E width of a head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from vlzoo.batch import Text
from vlzoo.errors import VlzooError
from vlzoo.models.gradcam import SCALE
from vlzoo.offers import Contrast

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model


def contrast_map(
    model: Model, contrast: Contrast, image_B3HW: Tensor, text: Text, block: int
) -> tuple[Tensor, tuple[int, int]]:
    """The [CLS] row of a block's self-attention times what it did for the similarity (ALBEF `Grounding.py`, ITC).

    The score is the sum over the pairs of the contrast's logits: cosines over the temperature. For vision transformers
    of timm; nothing of the encoder is changed, so that other threads may use it meanwhile.

    Args:
        model: the model.
        contrast: what an objective offers as `contrast`.
        image_B3HW: normalised pixels.
        text: one text for each picture.
        block: the image encoder's block, counted from 0.

    Returns:
        The map [B, P] float32 without autograd history, and the rows and columns of its patches.

    Raises:
        VlzooError: the image encoder has no such block, no self-attention over a grid, or is frozen.
    """
    blocks = _count_blocks(model, block)
    with torch.enable_grad():
        with _KeepMap(block) as kept:
            tokens = model.image_encoder(image_B3HW)
        map_BHNN = _check_map(kept, blocks, tokens.x.shape[1])
        similarity_B = (model.embed_image(tokens) * model.embed_text(model.text_encoder(text.ids, text.mask))).sum(1)
        score = contrast.logits(similarity_B).float().sum() * SCALE
        (gradient_BHNN,) = torch.autograd.grad(score, map_BHNN)
    if tokens.grid is None:
        raise VlzooError("this image encoder has no grid of patches")
    row_BHP = map_BHNN.detach()[:, :, 0, tokens.prefix :].float()
    gradient_BHP = gradient_BHNN[:, :, 0, tokens.prefix :].float() / SCALE
    return (row_BHP * gradient_BHP.clamp(min=0)).mean(dim=1), tokens.grid


def _count_blocks(model: Model, block: int) -> int:
    blocks = getattr(getattr(model.image_encoder, "model", None), "blocks", None)
    if not isinstance(blocks, nn.ModuleList | nn.Sequential):
        raise VlzooError("this image encoder has no blocks of self-attention", fix="use a vision transformer of timm")
    if not 0 <= block < len(blocks):
        raise VlzooError(f"there is no image block {block}", fix=f"choose 0 to {len(blocks) - 1}")
    return len(blocks)


class _KeepMap(TorchFunctionMode):
    """Within it, the attention of one block is computed with its map, which is kept; torch's fast kernel gives none.

    Attentions are told apart by their order, and only those of the thread that entered are seen.

    Attributes:
        map: softmax of the block's scores before dropout, [B, H, N, N]; None until it was computed.
        seen: how many attentions there were.
    """

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block, self.seen = block, 0
        self.map: Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        fast = func is functional.scaled_dot_product_attention
        if not fast and func not in (functional.softmax, torch.softmax, Tensor.softmax):
            return func(*args, **kwargs)
        self.seen += 1
        if self.seen - 1 != self.block:
            return func(*args, **kwargs)
        return self._attend(*args, **kwargs) if fast else self._keep(func(*args, **kwargs))

    def _keep(self, map_BHNN: Tensor) -> Tensor:
        # Where no weight is trained the map has no history yet: it begins here.
        self.map = map_BHNN if map_BHNN.requires_grad or not torch.is_grad_enabled() else map_BHNN.requires_grad_()
        return self.map

    def _attend(
        self,
        query_BHNE: Tensor,
        key_BHNE: Tensor,
        value_BHNE: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        **more: Any,
    ) -> Tensor:
        """`scaled_dot_product_attention` written out."""
        if is_causal or any(more.values()):
            raise VlzooError(f"image block {self.block} attends causally or by groups", fix="use a plain ViT of timm")
        scale = query_BHNE.shape[-1] ** -0.5 if scale is None else scale
        score_BHNN = (query_BHNE * scale) @ key_BHNE.transpose(-2, -1)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            score_BHNN = score_BHNN.masked_fill(~attn_mask, -torch.inf)
        elif attn_mask is not None:
            score_BHNN = score_BHNN + attn_mask
        map_BHNN = self._keep(score_BHNN.softmax(dim=-1))
        return functional.dropout(map_BHNN, dropout_p) @ value_BHNE


def _check_map(kept: _KeepMap, blocks: int, tokens: int) -> Tensor:
    """The map, once it is sure that it is the block's and over all image tokens."""
    if kept.map is None or kept.seen != blocks or kept.map.shape[-2:] != (tokens, tokens):
        raise VlzooError(
            f"image block {kept.block} keeps no attention map", fix="use a plain vision transformer of timm"
        )
    if not kept.map.requires_grad:
        raise VlzooError("a frozen image encoder gives no gradient", fix="set its option frozen to false")
    return kept.map
