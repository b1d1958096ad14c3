"""What an agreement gives: one row a quantity."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One quantity compared.

    Attributes:
        quantity: what was compared, `vqa/official` or `albef_pretrain/loss_itm`.
        difference: the largest absolute difference over all its values; NaN never agrees.
        tolerance: the largest difference that agrees; 0 means exactly equal.
        compared: how many values were compared.
    """

    quantity: str
    difference: float
    tolerance: float
    compared: int = 1

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Uncovered:
    """Something a golden holds that could not be compared here, and why."""

    quantity: str
    why: str


Row = Check | Uncovered
