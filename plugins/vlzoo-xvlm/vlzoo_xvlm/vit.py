"""A ViT whose last blocks look at a part of a picture by itself.

Legend: M pictures, R rows, P both together, N image tokens with the prefix, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from vlzoo.batch import View
from vlzoo.errors import VlzooError
from vlzoo.models.checkpointing import again
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.types import Tokens


class LocalVit(TimmEncoder):
    """A ViT, DeiT or CLIP-ViT of timm. A region's tokens come of the last blocks, where they read the region's patches
    and [CLS] alone (X-VLM, section 3.1 and `models/vit.py`); the first blocks run once a picture.

    Args:
        local_blocks: how many of the last blocks are restricted.

    Raises:
        VlzooError: the model has no such blocks, or not more of them than are to be restricted.
    """

    looks_at_parts: ClassVar[bool] = True

    def __init__(self, *, local_blocks: int = 4, **timm: Any) -> None:
        super().__init__(**timm)
        blocks = len(getattr(self.model, "blocks", ()))
        if not 0 < local_blocks < blocks:
            raise VlzooError(
                f"local_blocks is {local_blocks}, and the model has {blocks} transformer blocks",
                where="image_encoder local_vit",
                fix="restrict fewer blocks than there are; models without blocks, as Swin, are for the part `timm`",
            )
        self.local_blocks = local_blocks

    def look(self, image_M3HW: Tensor, parts: Mapping[str, View]) -> tuple[Tokens, Mapping[str, Tokens]]:
        """Tokens of whole pictures, and of each part; whole pictures and parts go through the last blocks as one."""
        if not parts:
            return self(image_M3HW), {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x_MND = self._early(self.coloured(image_M3HW))
            prefix = int(self.model.num_prefix_tokens)
            early = self.tokens(x_MND, prefix, self.grid_of(x_MND.shape[1] - prefix))
            rows = {name: torch.arange(len(x_MND)) if view.rows is None else view.rows for name, view in parts.items()}
            allowed = {name: view.allowed(early) for name, view in parts.items()}
            x_PND = torch.cat([*(x_MND[row] for row in rows.values()), x_MND])
            read_PN = torch.cat([*allowed.values(), early.mask])
            x_PND = self._late(x_PND, read_PN)
        *of_parts, whole = x_PND.split([*map(len, allowed.values()), len(x_MND)])
        own = {
            name: Tokens(x, allowed[name], x[:, 0], prefix, early.grid) for name, x in zip(parts, of_parts, strict=True)
        }
        return self.tokens(whole, prefix, early.grid), own

    def _early(self, image_M3HW: Tensor) -> Tensor:
        """What the blocks give that see whole pictures, [M, N, D]."""
        last = len(self.model.blocks) - self.local_blocks - 1
        ((grid_MGD, first_MTD),) = self.model.forward_intermediates(
            image_M3HW,
            indices=[last],
            return_prefix_tokens=True,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        return torch.cat([first_MTD, grid_MGD], dim=1)

    def _late(self, x_PND: Tensor, read_PN: Tensor) -> Tensor:
        """The last blocks and the norm; a row's tokens read those of `read_PN` [P, N] alone."""
        kind = (
            torch.get_autocast_dtype(x_PND.device.type) if torch.is_autocast_enabled(x_PND.device.type) else x_PND.dtype
        )
        bias_P11N = torch.zeros(read_PN.shape, dtype=kind, device=x_PND.device).masked_fill(~read_PN, -torch.inf)
        for block in self.model.blocks[-self.local_blocks :]:
            read = partial(block, attn_mask=bias_P11N[:, None, None])
            x_PND = again(read, x_PND) if self.model.grad_checkpointing else read(x_PND)
        return self.model.norm(x_PND)
