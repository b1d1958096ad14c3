"""Position tables of vision transformers at another resolution.

Legend: N tokens with the prefix, D width.
"""

from __future__ import annotations

from timm.layers import resample_abs_pos_embed
from torch import Tensor


def resize_positions(table_1ND: Tensor, grid: tuple[int, int], *, prefix: int = 1) -> Tensor:
    """The table for a grid of `grid` rows and columns; the square old grid is read from its length.

    Bicubic without antialiasing and with corners not aligned; the `prefix` rows at the front are kept
    (ALBEF `models/vit.py: interpolate_pos_embed`). timm's own loader smooths, which gives other numbers.

    Returns:
        [1, prefix + rows * columns, D].
    """
    return resample_abs_pos_embed(table_1ND, list(grid), num_prefix_tokens=prefix, antialias=False)
