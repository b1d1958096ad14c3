"""Similarities of a batch, and the hard negatives mined by them (ALBEF, section 3.2).

Legend: B batch rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Similarity(NamedTuple):
    """Scaled cosines of a batch: rows are the student's, columns the keys' (the teacher's where there is one).

    Attributes:
        i2t: each picture against every text, [B, B].
        t2i: each text against every picture, [B, B].
    """

    i2t: Tensor
    t2i: Tensor


@dataclass(frozen=True)
class Negatives:
    """Mined hard negatives (ALBEF, section 3.2).

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


def negative_weights(logit_BB: Tensor, same_BB: Tensor) -> Tensor:
    """Chances of each column to be a row's negative, [B, B] float32: the softmax over what shows another picture.

    Args:
        logit_BB: how alike row and column are; the more, the harder the negative.
        same_BB: True where row and column show the same picture, and on the diagonal; never drawn.

    Returns:
        The chances. A row whose every other row shows the same picture has equal ones for all but itself.
    """
    # Masking before the softmax: after it, a confident model's legal weights all underflow to zero.
    weight_BB = torch.softmax(logit_BB.float().masked_fill(same_BB, -torch.inf), dim=1).nan_to_num(0.0)
    own_BB = torch.eye(len(logit_BB), dtype=torch.bool, device=logit_BB.device)
    lone_B1 = weight_BB.sum(1, keepdim=True) <= 0
    return torch.where(lone_B1, (~own_BB).to(weight_BB.dtype), weight_BB)
