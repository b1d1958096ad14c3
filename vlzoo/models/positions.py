"""Position tables of vision transformers at another resolution.

Legend: N tokens with the prefix, D width, S side of a table of relative places, H heads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
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


def resize_relative(table_SSH: Tensor, side: int) -> Tensor:
    """A table of relative places [S * S, H] for windows whose table has `side` rows and columns, [side * side, H].

    The old places are taken to lie the farther apart the farther they are from the middle, at sums of a geometric
    series whose last is the new table's last place; between them runs a cubic spline (X-VLM
    `models/swin_transformer.py: interpolate_relative_pos_embed`, after BEiT).
    """
    old = math.isqrt(len(table_SSH))
    if old == side:
        return table_SSH
    from scipy.interpolate import RectBivariateSpline  # here: half a second, and most models resize none

    from_S, to = _spread(old // 2, side // 2), np.arange(-(side // 2), side // 2 + 1, dtype=np.float64)
    held = table_SSH.detach().double().cpu().numpy().reshape(old, old, -1)
    degree = min(3, old - 1)
    made = [
        RectBivariateSpline(from_S, from_S, held[:, :, head], kx=degree, ky=degree)(to, to).reshape(-1)
        for head in range(held.shape[2])
    ]
    return torch.from_numpy(np.stack(made, axis=1)).to(table_SSH.dtype)


def _spread(steps: int, reach: int) -> NDArray[np.float64]:
    """Places 0, 1, 1 + q, 1 + q + q^2, ... and their opposites, [2 * steps + 1]: the last is `reach`, if q allows."""
    low, high = 1.01, 1.5  # the official bounds of q, and with its 1e-6 the official end of the search
    ratio = (low + high) / 2
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (1 - ratio**steps) / (1 - ratio) > reach:
            high = ratio
        else:
            low = ratio
    places = np.cumsum([0.0, *(ratio**n for n in range(steps))])
    return np.concatenate([-places[:0:-1], places])
