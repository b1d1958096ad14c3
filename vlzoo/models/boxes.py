"""Boxes as the numbers that encoders project.

Legend: boxes are left, top, right, bottom as shares of the picture's width and height, [..., 4].
"""

from __future__ import annotations

import torch
from torch import Tensor


def corners_and_sides(box_4: Tensor) -> Tensor:
    """Six numbers a box: its corners, width and height, [..., 6] (Oscar, VinVL).

    >>> [round(number, 2) for number in corners_and_sides(torch.tensor([0.1, 0.2, 0.5, 0.8])).tolist()]
    [0.1, 0.2, 0.5, 0.8, 0.4, 0.6]
    """
    return torch.cat([box_4, box_4[..., 2:] - box_4[..., :2]], dim=-1)


def box_numbers(box_4: Tensor) -> Tensor:
    """Seven numbers a box: its corners, width, height and area, [..., 7] (UNITER)."""
    size = box_4[..., 2:] - box_4[..., :2]
    return torch.cat([box_4, size, size.prod(dim=-1, keepdim=True)], dim=-1)
