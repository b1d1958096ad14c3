"""A ring of features of past batches (MoCo, He et al. 2020).

Legend: B batch rows, Q queue length, E joint size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)


class FeatureQueue(nn.Module):
    """Image and text features with the ids of their pictures, oldest overwritten first.

    It starts with random unit vectors and ids of -100, as ALBEF's does: they are negatives of everything.

    Args:
        length: Q; any, where the official code wants a multiple of the batch.
        width: E.
    """

    image: Tensor
    text: Tensor
    ids: Tensor
    place: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("image", F.normalize(torch.randn(length, width), dim=1))
        self.register_buffer("text", F.normalize(torch.randn(length, width), dim=1))
        self.register_buffer("ids", torch.full((length,), -100, dtype=torch.long))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, image_BE: Tensor, text_BE: Tensor, ids_B: Tensor | None = None) -> None:
        """Overwrite the oldest B entries; of more than Q, the last Q stay."""
        batch, length = len(image_BE), len(self.ids)
        rows = torch.arange(max(0, batch - length), batch, device=self.ids.device)
        at = (self.place + rows) % length
        self.image[at] = image_BE.detach()[rows].to(self.image.dtype)
        self.text[at] = text_BE.detach()[rows].to(self.text.dtype)
        self.ids[at] = -100 if ids_B is None else ids_B[rows]
        self.place.copy_((self.place + batch) % length)
