"""Maps of expressions over pictures, by Grad-CAM of the matching score; and boxes that an objective offers.

Legend: B rows, L text tokens, N image tokens, P image tokens after the prefix, H and W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.batch import Batch
from vlzoo.bench.engine import Engine
from vlzoo.bench.model import BenchModel
from vlzoo.errors import CheckpointError
from vlzoo.models.gradcam import choose_layer, sentence_map, word_maps
from vlzoo.offers import MATCH, Boxes, Match

Mapper = Callable[[Any, Sequence[tuple[int, int]]], list[NDArray[np.float32]]]
"""From a batch and its pictures' widths and heights to maps of the expressions over them, each [H, W]."""

BoxPredictor = Callable[[Any, Sequence[Any]], list[list[float]]]
"""From a batch and its samples to boxes x, y, width, height in pixels."""


@singledispatch
def mapper(model: BenchModel) -> Mapper:
    """How a model maps expressions over pictures; a family registers its own.

    Raises:
        CheckpointError: the model gives no maps.
    """
    model.cannot("grounding")


@mapper.register
def _(model: Engine) -> Mapper:
    return Grounder(model)


@singledispatch
def box_predictor(model: BenchModel) -> BoxPredictor | None:
    """How a model predicts boxes by itself; None where it does not. A family registers its own."""
    return None


@box_predictor.register
def _(model: Engine) -> BoxPredictor | None:
    boxes: Boxes | None = model.offered("boxes")
    if boxes is None:
        return None

    def predict(batch: Any, samples: Sequence[Any]) -> list[list[float]]:
        with torch.no_grad(), model.autocast():
            found_B4 = boxes(model.step(batch))
        return in_pixels(found_B4, samples)

    return predict


def in_pixels(box_B4: Tensor, samples: Sequence[Any]) -> list[list[float]]:
    """Boxes x, y, width, height in pixels, from centres, widths and heights in shares of the picture [B, 4]."""
    made = []
    for (x, y, w, h), sample in zip(box_B4.float().tolist(), samples, strict=True):
        width, height = sample.images[0].open().size
        made.append([(x - w / 2) * width, (y - h / 2) * height, w * width, h * height])
    return made


class Grounder:
    """Makes the map of each expression over its picture.

    Args:
        engine: a system with cross-attention and an objective that offers `match`.

    Raises:
        CheckpointError: there is no matching head.
        VlzooError: the fusion keeps no map.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine, self.model = engine, engine.system.model
        matching: Match | None = engine.offered("match")
        if matching is None:
            raise CheckpointError(
                "this model has no matching head, so there is no score to explain",
                fix="train it with an objective that offers `match`, such as `itm`",
            )
        self.matching, fusion = matching, self.model.fusion
        self.layer = choose_layer(fusion.layers, cross_attention=fusion.cross_attention)

    def __call__(self, batch: Batch, sizes: Sequence[tuple[int, int]]) -> list[NDArray[np.float32]]:
        """Maps of a batch, each [H, W] of its picture, whose width and height are in `sizes`.

        Raises:
            CheckpointError: the image encoder's tokens have no grid.
        """
        image, map_BP = self._tokens(batch)
        if image.grid is None:
            raise CheckpointError("this image encoder's tokens have no places in the picture", fix="use a grid encoder")
        grid_B1hw = map_BP.unflatten(1, image.grid)[:, None]
        return [_enlarged(grid_1hw, size) for grid_1hw, size in zip(grid_B1hw, sizes, strict=True)]

    def _tokens(self, batch: Batch) -> tuple[Any, torch.Tensor]:
        """Image tokens, and the expressions' maps over them, [B, P]."""
        ids = batch.texts["text"]
        with self.engine.autocast():
            with torch.no_grad():
                image = self.model.image_encoder(batch.images["image"])
                text = self.model.text_encoder(ids.ids, ids.mask)
                prepared = self.model.fusion.prepare(image)
            # Only the fusion needs a history; a frozen model has none unless its input asks for one.
            text.x.requires_grad_()
            with torch.enable_grad():
                fused = self.model.fusion.fuse(text, [prepared], attention=self.layer)
                score_B = self.matching(fused.cls)[:, MATCH]
            words_BLP = word_maps(score_B, fused, ids.mask, prefix=image.prefix)
        return image, sentence_map(words_BLP)


def _enlarged(map_1hw: torch.Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
    """A map at the picture's size, bicubic as in ALBEF's `grounding_eval`."""
    width, height = size
    large = F.interpolate(map_1hw[None].float(), size=(height, width), mode="bicubic", align_corners=False)
    made: NDArray[np.float32] = large[0, 0].cpu().numpy()
    return made
