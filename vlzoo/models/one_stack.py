"""One transformer in every role (UFO, Wang et al. 2021): encoders whose summary the fusion's layers make.

Pictures alone, words alone and both together pass through the same layers, which are the fusion's: they are trained and
stored there, once. The tokens that go into a fused pass are embeddings still, so nothing passes through twice, and
sides alone pass only where a contrast compares them.

Legend: M pictures, B texts, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """Patches, which the fusion's layers pool to the first one's state: one transformer in every role (UFO).

    With `class_token: true` that is the class token's.

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

    def summary(self, tokens: Tokens) -> Tensor:
        """What the fusion makes of pictures alone, [M, D]; before it has met one, their pooled state."""
        made = [each.fuse(None, [each.prepare(tokens)]).cls for each in self._fusion]
        return made[0] if made else tokens.pooled


class SharedWords(EmbeddingEncoder):
    """Words, which the fusion's layers pool to the first one's state: one transformer in every role (UFO).

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

    def summary(self, tokens: Tokens) -> Tensor:
        """What the fusion makes of texts alone, [B, D]; before it has met one, their pooled state."""
        first_B1 = torch.zeros(len(tokens.x), 1, dtype=torch.long, device=tokens.x.device)
        made = [each.fuse(tokens, [], positions_PK=first_B1).cls for each in self._fusion]
        return made[0] if made else tokens.pooled


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
