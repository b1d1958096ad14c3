"""One transformer in every role (UFO, Wang et al. 2021): encoders whose pooled state the fusion's layers make.

Pictures alone, words alone and both together pass through the same layers, which are the fusion's: they are trained and
stored there, once. The tokens that go into a fused pass are embeddings still, so nothing passes through twice.

Legend: M pictures, B texts, L text tokens, D width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Fusion
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.types import Tokens

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model


class SharedPatches(PatchEncoder):
    """Patches whose `pooled` is the first one's state after the fusion's layers: one transformer in every role (UFO).

    With `class_token: true` that is the class token's. Until it has met a fusion, it is the patches' mean.

    Args:
        width: D of the tokens it gives: that of the fusion.
        patch: side of a patch in pixels.
        image_size: side of the pictures in pixels, a multiple of `patch`.
        dropout: chance of dropping a number.
        class_token: put a learned token before the patches.
    """

    _fusion: tuple[Fusion, ...] = ()

    def meet(self, model: Model) -> None:
        """Take the fusion's layers for its own, without storing them once more."""
        self._fusion = (_suited(model, self.width, "image_encoder shared_patch"),)

    def forward(self, image_M3HW: Tensor) -> Tokens:
        """Tokens of normalised pixels [M, 3, H, W]: embeddings, pooled to what the fusion makes of them alone."""
        made = super().forward(image_M3HW)
        pooled = [each.fuse(None, [each.prepare(made)]).cls for each in self._fusion]
        return replace(made, pooled=pooled[0]) if pooled else made


class SharedWords(EmbeddingEncoder):
    """Words whose `pooled` is the first one's state after the fusion's layers: one transformer in every role (UFO).

    Args:
        width: D of the tokens it gives: that of the fusion.
        vocab: how many ids it knows.
        max_length: how many positions there are.
        dropout: chance of dropping a number.
        segments: how many kinds of words there are.
        boxes: whether words may have boxes.
    """

    reads_whole = True
    _fusion: tuple[Fusion, ...] = ()

    def meet(self, model: Model) -> None:
        """Take the fusion's layers for its own, without storing them once more."""
        self._fusion = (_suited(model, self.width, "text_encoder shared_embedding"),)

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
        """Tokens of ids [B, L]: embeddings, pooled to what the fusion makes of them alone; arguments as `embedding`'s.

        Raises:
            VlzooError: the texts have segments or boxes, and the encoder was made without.
        """
        given = {"positions_BL": positions_BL, "segments_BL": segments_BL, "boxes_BL4": boxes_BL4}
        made = super().forward(ids_BL, mask_BL, **given)
        first_B1 = torch.zeros_like(ids_BL[:, :1])
        more: dict[str, Any] = {} if among_BLL is None else {"among_PLL": among_BLL}
        pooled = [each.fuse(made, [], positions_PK=first_B1, **more).cls for each in self._fusion]
        return replace(made, pooled=pooled[0]) if pooled else made


def _suited(model: Model, width: int, where: str) -> Fusion:
    """The model's fusion, which must take each side alone and pool it to as many numbers as the encoder gives.

    Raises:
        VlzooError: there is none, or it can't.
    """
    fix = f"name `model.fusion: {{part: merged, width: {width}}}`"
    if not model.has("fusion"):
        raise VlzooError("its layers are the fusion's, and the model has none", where=where, fix=fix)
    fusion = model.fusion
    if not fusion.gives_images or (fusion.pooled_width or fusion.width) != width:
        what = f"its layers are the fusion's, and {type(fusion).__name__} gives no state of {width} of a picture alone"
        raise VlzooError(what, where=where, fix=fix)
    return fusion
