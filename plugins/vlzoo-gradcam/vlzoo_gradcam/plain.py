"""Masks that look at nothing: random patches, and none.

Legend: B pairs, N image tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vlzoo.errors import VlzooError
from vlzoo.interfaces import TokenMask
from vlzoo.step.step import Step


class RandomPatches(TokenMask):
    """RandMask, the baseline of SoftMask++: each patch is zeroed by its own chance; [CLS] stays.

    Zeroed rather than dropped, and each patch by itself rather than a fixed count: our reading.

    Args:
        probability: the chance of a patch to be zeroed; the paper's table has 0.3 and 0.5.

    Raises:
        VlzooError: the chance is not between 0 and 1.
    """

    def __init__(self, *, probability: float = 0.3) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise VlzooError(
                f"probability {probability} is no chance", where="token_mask random", fix="choose 0 to 1, such as 0.3"
            )
        self.probability = probability

    def forward(self, step: Step) -> Tensor:
        """Weights [B, N], 0 or 1; drawn by seed, step and sample."""
        image = step.image()
        drawn_BN = step.draws.uniform("random-mask", step.batch.key, image.x.shape[1])
        weight_BN = (drawn_BN >= self.probability).float()
        weight_BN[:, : image.prefix] = 1.0
        return weight_BN


class NoMask(TokenMask):
    """Weight 1 for every token: a soft pass that sees what the plain pass sees."""

    def forward(self, step: Step) -> Tensor:
        """Ones, [B, N]."""
        image = step.image()
        return torch.ones(image.x.shape[:2], device=image.x.device)
