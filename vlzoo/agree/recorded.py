"""The draws that official code made, in place of random ones.

Legend: B batch rows, N candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vlzoo.draws import Draws
from vlzoo.errors import DataError


@dataclass(frozen=True)
class Recorded(Draws):
    """Draws that give what was recorded, and keep the weights they were asked to draw by.

    Attributes:
        chosen: purpose -> columns, [B].
        numbers: purpose -> uniform numbers, [B, count].
        weights: purpose -> weights that a choice was made by, [B, N]; filled as choices are made.
    """

    chosen: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def uniform(self, purpose: str, key_B: Tensor, count: int) -> Tensor:
        """The recorded numbers."""
        return _held(self.numbers, purpose)

    def choose(self, purpose: str, key_B: Tensor, weight_BN: Tensor, column_N: Tensor | None = None) -> Tensor:
        """The recorded columns."""
        self.weights[purpose] = weight_BN / weight_BN.sum(1, keepdim=True)
        return _held(self.chosen, purpose)


def _held(values: dict[str, Tensor], purpose: str) -> Tensor:
    if purpose not in values:
        raise DataError(f"the golden recorded no draw for {purpose!r}")
    return values[purpose]


def negatives(image_for_text_B: Tensor, text_for_image_B: Tensor) -> dict[str, Tensor]:
    """Mined negatives under the purposes a step asks for."""
    return {"image-for-text": image_for_text_B, "text-for-image": text_for_image_B}


def shares(weight_BN: Tensor) -> Tensor:
    """Official weights, which need not sum to one, as chances [B, N]."""
    return weight_BN / torch.clamp(weight_BN.sum(1, keepdim=True), min=torch.finfo(weight_BN.dtype).tiny)
