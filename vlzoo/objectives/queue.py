"""A ring of features of past batches (MoCo, He et al. 2020).

Legend: B batch rows, Q queue length, E joint size.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)


class FeatureQueue(nn.Module):
    """Image and text features with the ids of their pictures, oldest overwritten first.

    It starts with random unit vectors and ids of -100, as ALBEF's does: they are negatives of everything.

    Args:
        length: Q; any, where the official code wants a multiple of the batch.
        width: E.

    Attributes:
        trains_only: nothing but training reads it, so exported weights leave it out.
    """

    trains_only = True
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
        self.pushes = 0

    def against(self, query_BE: Tensor, kind: Literal["image", "text"]) -> Tensor:
        """The queries' products with every feature of a kind, [B, Q]; the features take no gradient."""
        return _Product.apply(query_BE, self, kind)

    @torch.no_grad()
    def push(self, image_BE: Tensor, text_BE: Tensor, ids_B: Tensor | None = None) -> None:
        """Overwrite the oldest B entries; of more than Q, the last Q stay."""
        self.pushes += 1
        batch, length = len(image_BE), len(self.ids)
        rows = torch.arange(max(0, batch - length), batch, device=self.ids.device)
        at = (self.place + rows) % length
        self.image[at] = image_BE.detach()[rows].to(self.image.dtype)
        self.text[at] = text_BE.detach()[rows].to(self.text.dtype)
        if ids_B is None:
            self.ids.index_fill_(
                0, at, -100
            )  # not by `self.ids[at] =`: a number would be sent to the device, and waited for
        else:
            self.ids[at] = ids_B[rows]
        self.place.copy_((self.place + batch) % length)


class _Product(torch.autograd.Function):
    """`query queue^T` that reads the queue where it lies: at 65,536 features a copy, or a cast one kept for the
    backward pass under autocast, is dearer than the product."""

    @staticmethod
    def forward(ctx: Any, query_BE: Tensor, queue: FeatureQueue, kind: Literal["image", "text"]) -> Tensor:
        ctx.queue, ctx.kind, ctx.pushes, ctx.dtype = queue, kind, queue.pushes, query_BE.dtype
        key_QE: Tensor = getattr(queue, kind)
        return query_BE @ key_QE.to(query_BE.dtype).T

    @staticmethod
    def backward(ctx: Any, grad_BQ: Tensor) -> tuple[Tensor, None, None]:
        # Autograd can't see a push: it watches saved tensors alone.
        if ctx.queue.pushes != ctx.pushes:
            raise RuntimeError("the feature queue was pushed between the forward and the backward pass")
        key_QE = getattr(ctx.queue, ctx.kind)
        return (grad_BQ @ key_QE.to(grad_BQ.dtype)).to(ctx.dtype), None, None
