"""Soft masks from word-conditional Grad-CAM (SoftMask++).

Legend: B pairs, L text tokens, N image tokens, P image tokens after the prefix ([CLS], registers).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from vlzoo.interfaces import TokenMask
from vlzoo.models.gradcam import choose_layer, soft_mask, word_maps
from vlzoo.offers import MATCH
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Spec
from vlzoo_gradcam.words import Words


class GradCam(TokenMask):
    """Hides what speaks for a match, as seen from one word of the text (Park & Han 2023).

    The map is `mean over heads of A max(0, dS/dA)`, with A the cross-attention of one fusion layer in the positive pass
    and S the matching logit of class 1. One word is chosen for each sample, its map is stretched to [0, 1] over the
    patches, and the weights are `1 - map`. The pass is that of image-text matching: nothing is computed again, and no
    gradient goes through the weights.

    Open in the paper, and read so by us: the layer, the draw for each sample, [CLS] kept, the stretching by minimum and
    maximum.

    Args:
        layer: the fusion layer, counted from 0; None: the third (ALBEF's), or the last that has word maps.
        word: `random`: one of the sample's tokens, stop-words and word pieces too; `content`: no stop-word;
            `mean`: the mean over all of its tokens; `cls`: [CLS].
        mask_cls: also hide the image's own [CLS] (and registers), which no map can point at.
    """

    needs = ("text_encoder", "fusion")

    def __init__(
        self,
        *,
        layer: int | None = None,
        word: Literal["random", "content", "mean", "cls"] = "random",
        mask_cls: bool = False,
    ) -> None:
        super().__init__()
        self.layer, self.word, self.mask_cls = layer, word, mask_cls

    def build(self, spec: Spec) -> None:
        """Find the layer and, for `content`, the stop-words of the vocabulary.

        Raises:
            VlzooError: the fusion has no such map, or there is no such choice of a word.
        """
        self.chosen_layer = choose_layer(spec.fusion_layers, self.layer, cross_attention=spec.cross_attention)
        self.words = Words(self.word, spec.words)

    def plan(self, plan: Plan) -> None:
        """The positive pass keeps its map the first time it is computed."""
        plan.keep_map(self.chosen_layer)
        plan.read("cls")

    def forward(self, step: Step) -> Tensor:
        """Weights [B, N] in [0, 1]; 1 everywhere where a map is flat."""
        image = step.image()
        map_BP = self.words.map_of(step, self.maps(step))
        weight_BN = soft_mask(map_BP, prefix=image.prefix, real_BP=image.mask[:, image.prefix :])
        if self.mask_cls:
            weight_BN[:, : image.prefix] = 0.0
        return weight_BN

    def maps(self, step: Step) -> Tensor:
        """The maps of every word of the positive pairs, [B, L, P], without autograd history."""
        layer = self.chosen_layer
        score_B, fused = step.match(attention=layer)[:, MATCH], step.fused(reads="cls", attention=layer)
        return word_maps(score_B, fused, step.ids().mask, prefix=step.image().prefix)
