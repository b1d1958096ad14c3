"""Similarities of a batch, and the hard negatives mined by them (ALBEF, section 3.2).

Legend: B batch rows, C columns: rows of all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from vlzoo.step.plan import Pairs


class Similarity(NamedTuple):
    """Scaled cosines of a batch: rows are the student's, columns the keys' (the teacher's, where there is one).

    Attributes:
        i2t: each picture against every text, [B, C].
        t2i: each text against every picture, [B, C].
    """

    i2t: Tensor
    t2i: Tensor


@dataclass(frozen=True)
class Negatives:
    """Mined hard negatives (ALBEF, section 3.2). Rows are named by their columns, which count over all processes.

    Attributes:
        image_for_text: for each text the row of a picture that is not its own, [B] int64.
        text_for_image: for each picture the row of a text that is not its own, [B] int64.
        text_rows: texts of the 2B negative pairs: own texts, then the texts mined, [2B].
        image_rows: pictures of the 2B negative pairs: the pictures mined, then the own ones, [2B].
    """

    image_for_text: Tensor
    text_for_image: Tensor
    text_rows: Tensor
    image_rows: Tensor

    def rows(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Texts and pictures of the mined pairs of a pass: all, or with `wrong_text` the pictures' own alone."""
        first = len(self.text_for_image) if pairs == "wrong_text" else 0
        return self.text_rows[first:], self.image_rows[first:]


def negative_weights(logit_BC: Tensor, alike_BC: Tensor, offset: int = 0) -> Tensor:
    """Chances of each column to be a row's negative, [B, C] float32: the softmax over what is not alike.

    Args:
        logit_BC: how alike row and column are; the more, the harder the negative.
        alike_BC: True where row and column show or say the same, and at a row's own column; never drawn.
        offset: the column of the first row.

    Returns:
        The chances. A row of which every other column is alike has equal ones for all but itself.
    """
    # Masking before the softmax: after it, a confident model's legal weights all underflow to zero.
    weight_BC = torch.softmax(logit_BC.float().masked_fill(alike_BC, -torch.inf), dim=1).nan_to_num(0.0)
    own_B1 = torch.arange(offset, offset + len(logit_BC), device=logit_BC.device)[:, None]
    own_BC = own_B1 == torch.arange(logit_BC.shape[1], device=logit_BC.device)[None]
    lone_B1 = weight_BC.sum(1, keepdim=True) <= 0
    return torch.where(lone_B1, (~own_BC).to(weight_BC.dtype), weight_BC)


def floored_weights(logit_BC: Tensor, alike_BC: Tensor, offset: int = 0) -> Tensor:
    """As `negative_weights`, by the softmax over all columns, its own too, plus 1e-5 (X-VLM, `models/xvlm.py`).

    A confident model, whose softmax leaves next to nothing for negatives, draws them almost evenly so.
    """
    weight_BC = torch.softmax(logit_BC.float(), dim=1) + 1e-5
    legal_BC = weight_BC.masked_fill(alike_BC, 0.0)
    return torch.where(alike_BC.all(1, keepdim=True), negative_weights(logit_BC, alike_BC, offset), legal_BC)


Mining = Callable[[Tensor, Tensor, int], Tensor]
"""Similarities, which of them are alike, and the first row's column, to the chances of a negative."""
