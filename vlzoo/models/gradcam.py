"""Word-conditional Grad-CAM: where a fusion layer looked, word by word, for what spoke in favour of a match.

Selvaraju et al. 2017, on the cross-attention map of ALBEF (Li et al. 2021, section 4.5); the soft masks of SoftMask++
(Park & Han 2023) are made of it. Everything here reads a pass that was computed anyway: nothing is run again.

Legend: B pairs, H heads, L text tokens, N image tokens, P image tokens after the prefix ([CLS], registers).
"""

from __future__ import annotations

import torch
from torch import Tensor

from vlzoo.errors import VlzooError
from vlzoo.types import Fused

SCALE = 1024.0
"""What the score is multiplied by before the gradient and the gradient divided by after it, in float32.

Through float16 a gradient below 6e-8 would vanish; a power of two changes no digit.
"""

FLAT = 1e-6
"""A map whose span is at most this share of its maximum is flat: what differs is rounding."""

PAPER_LAYER = 2
"""The third fusion layer, ALBEF's `block_num = 8`: of six it localises best."""


def choose_layer(layers: int, layer: int | None = None, *, cross_attention: bool = True) -> int:
    """The fusion layer to explain, counted from 0: `layer` if it can be, else the third or the last that can.

    Args:
        layers: how many the fusion has.
        layer: the one wished for.
        cross_attention: whether the fusion has an attention map of text over image tokens at all.

    Raises:
        VlzooError: the fusion keeps no map; there is no such layer; or it is the last one.
    """
    if not cross_attention:
        raise VlzooError(
            "this recipe's fusion has no attention map of text over image tokens",
            fix="Grad-CAM and soft masks need a fusion with cross-attention: `cross_attention`",
        )
    last = layers - 1
    if last < 1:
        raise VlzooError(
            "this fusion has 1 layer; Grad-CAM of words needs 2", fix=f"set the fusion's option layers. {_WHY}"
        )
    if layer is None:
        return min(PAPER_LAYER, last - 1)
    if not 0 <= layer < layers:
        raise VlzooError(f"there is no fusion layer {layer}", fix=f"layers count from 0; choose 0 to {last - 1}")
    if layer == last:
        raise VlzooError(f"fusion layer {layer} is the last one. {_WHY}", fix=f"choose a layer from 0 to {last - 1}")
    return layer


_WHY = (
    "The matching head reads the first position alone, and after the last cross-attention the positions no longer "
    "meet, so the map of every word would be exactly zero"
)


def word_maps(score_B: Tensor, fused: Fused, mask_BL: Tensor, *, prefix: int = 1) -> Tensor:
    """One map for each word: attention times what it did for the score, where that was positive.

    `M = mean over heads of A max(0, dS/dA)` with S the sum of the scores: pairs do not mix, so that it gives each
    pair's own gradient (ALBEF `Grounding.py` and its notebook; LAVIS `compute_gradcam`).

    Only the way from the score back to the map is walked. No parameter's `.grad` changes and no hook on one fires, so
    that under DistributedDataParallel nothing is reduced. The graph is kept for the loss.

    Args:
        score_B: the matching logits of the pairs (class 1), with their autograd history.
        fused: the pass they came from, with the map of a layer before the last.
        mask_BL: True where a text token is real; padding rows come out as zeros.
        prefix: how many image tokens at the front have no place in the picture; their columns are dropped.

    Returns:
        [B, L, P] float32, without autograd history.

    Raises:
        VlzooError: the pass kept no map; kept that of the last layer for [CLS] alone; or no gradient reaches it.
    """
    map_BHLN = _map_of(fused, mask_BL)
    gradient_BHLN = _gradient(score_B, map_BHLN)[..., prefix:].float() / SCALE
    # Autocast would take the product down again.
    with torch.no_grad(), torch.autocast(map_BHLN.device.type, enabled=False):
        words_BLP = (map_BHLN[..., prefix:].float() * gradient_BHLN.clamp(min=0)).mean(dim=1)
        return words_BLP.masked_fill(~mask_BL[..., None], 0.0)


def _map_of(fused: Fused, mask_BL: Tensor) -> Tensor:
    if fused.attention is None:
        raise VlzooError(
            "this pass kept no attention map",
            fix="ask for it before the pass is computed: `plan.keep_map(layer)`, or `fuse(..., attention=layer)`",
        )
    if fused.attention.shape[2] != mask_BL.shape[1]:
        raise VlzooError(f"this pass kept the map of its last layer. {_WHY}", fix="keep the map of an earlier layer")
    if not fused.attention.requires_grad:
        raise VlzooError(
            "the attention map has no autograd history", fix="run the whole pass under `torch.enable_grad()`"
        )
    return fused.attention


def _gradient(score_B: Tensor, map_BHLN: Tensor) -> Tensor:
    try:
        # The caller may only measure; the history of the score counts, not the mode this is called in.
        with torch.inference_mode(False), torch.enable_grad():
            score = score_B.float().sum() * SCALE
            (gradient,) = torch.autograd.grad(score, map_BHLN, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        if "heckpoint" not in str(error):
            raise
        raise VlzooError(
            "Grad-CAM can't see through reentrant activation checkpointing",
            fix="checkpoint with `use_reentrant=False`",
        ) from error
    if gradient is None:
        raise VlzooError(
            "the score does not depend on the attention map", fix="give the score of the very pass that kept the map"
        )
    return gradient


def normalise(map_XP: Tensor, real_XP: Tensor | None = None) -> Tensor:
    """Each map's own minimum to 0 and maximum to 1, float32, any leading axes; flat or broken maps become zeros.

    There is no epsilon in the denominator: the maps of a sure model are smaller than any that one would choose.

    Args:
        map_XP: maps, [..., P].
        real_XP: True where an image token is real, [..., P]; None: everywhere. Others come out as 0.
    """
    with torch.no_grad(), torch.autocast(map_XP.device.type, enabled=False):
        whole = map_XP.float()
        real = torch.ones_like(whole, dtype=torch.bool) if real_XP is None else real_XP.expand_as(whole)
        low = whole.masked_fill(~real, torch.inf).amin(dim=-1, keepdim=True)
        high = whole.masked_fill(~real, -torch.inf).amax(dim=-1, keepdim=True)
        span = high - low
        # An overflow in float16 makes span infinite or NaN, and the map is given up rather than guessed.
        usable = (span > FLAT * high.abs()) & span.isfinite()
        scaled = (whole - low) / torch.where(usable, span, torch.ones_like(span))
        return torch.where(usable & real, scaled, torch.zeros_like(scaled))


def soft_mask(map_BP: Tensor, *, prefix: int = 0, real_BP: Tensor | None = None) -> Tensor:
    """Weights of image tokens that hide what a map points at: `1 - c` with c the normalised map (SoftMask++).

    Args:
        map_BP: one map a pair.
        prefix: how many image tokens come before the map's; they are kept, weight 1.
        real_BP: True where an image token is real.

    Returns:
        [B, prefix + P] float32 in [0, 1], without autograd history; all 1 for a flat map.
    """
    weight_BP = 1.0 - normalise(map_BP, real_BP)
    return torch.cat([weight_BP.new_ones(len(weight_BP), prefix), weight_BP], dim=1)


def sentence_map(map_BLP: Tensor) -> Tensor:
    """One map for the sentence as ALBEF grounds it (`Grounding.py`), [B, P].

    The mean over all L rows: [CLS] counts, and padding counts in the denominator.
    """
    return map_BLP.mean(dim=1)


def lavis_maps(map_LP: Tensor, mask_L: Tensor) -> Tensor:
    """One pair's maps in the order of LAVIS `compute_gradcam`, [1 + L, P]: [CLS], the sentence, each later position.

    The sentence's is the sum over positions 1 to n divided by n, n = real tokens - 2: it counts on a [SEP] at the end,
    and without one it leaves the last word out.
    """
    words = max(int(mask_L.sum()) - 2, 1)
    whole_1P = map_LP[1 : words + 1].sum(dim=0, keepdim=True) / words
    return torch.cat([map_LP[:1], whole_1P, map_LP[1:]])
