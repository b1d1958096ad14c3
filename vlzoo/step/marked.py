"""Marked tokens of texts as whole numbers: masked words, an answer's tokens.

Legend: R texts, L text tokens, K kept positions, T marked tokens, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.types import Fused


class Marked(NamedTuple):
    """Marked tokens of texts, row by row, as whole numbers: to read them, the host need not wait for the device.

    Attributes:
        rows: their rows, [T] int64.
        columns: their positions in the rows, [T] int64.
        places: their places among a row's `positions`, [T] int64.
        positions: the first position of each row and the marked ones, ascending, [R, K] int64, padded with -1.
    """

    rows: Tensor
    columns: Tensor
    places: Tensor
    positions: Tensor


def mark(chosen_RL: NDArray[np.bool_], device: torch.device) -> Marked:
    """The tokens at the True of each row; the first token of a row is never marked."""
    row_T, column_T = np.nonzero(chosen_RL)
    count_R = chosen_RL.sum(1)
    place_T = 1 + np.arange(len(row_T)) - np.repeat(count_R.cumsum() - count_R, count_R)
    positions_RK = np.full((len(chosen_RL), 1 + int(count_R.max(initial=0))), -1)
    positions_RK[:, 0], positions_RK[row_T, place_T] = 0, column_T
    held = (row_T, column_T, place_T, positions_RK)
    return Marked(*(torch.from_numpy(each.astype(np.int64)).to(device, non_blocking=True) for each in held))


def select(fused: Fused, marked: Marked) -> Tensor:
    """The states of `fused` at marked positions, row by row, [T, D].

    The pass must hold them: it was asked for with `reads="masked"`, or all positions.
    """
    return fused.x[marked.rows, marked.columns if fused.positions is None else marked.places]
