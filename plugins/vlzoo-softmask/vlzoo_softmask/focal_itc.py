"""Focal image-text contrastive learning.

Legend: B batch rows, Q queue length, C = B + Q keys.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.objectives.itc import ITC

FORMS = ("elementwise", "diagonal")

LEAST = 1e-6
"""Below this `1 - p` is held: under a gamma below 1 its gradient would be infinite at 0."""


class FocalITC(ITC):
    """ITC in which what is told apart already counts less: `- sum_j y_j (1 - p_j)^gamma log p_j` (Park & Han 2023).

    For web corpora: mixtures of unlike domains, in which most negatives are trivial. With gamma 0 it is ITC, bit for
    bit. The gradient goes through the factor, as in the focal loss (Lin et al. 2017).

    Open in the paper, and read so by us: gamma, which is printed nowhere we could read (2 is the focal loss's), and
    the factor at each target rather than once a row.

    Args:
        gamma: how strongly easy targets are weighed down; 0 gives ITC.
        form: `elementwise`: a factor for each target, `diagonal`: one for each row, that of its own pair.
        queue: how many features of past batches to compare with, for each modality; 0: the batch alone.
        targets: the hard targets: `one-hot`, `image-id`: all texts of one picture are positives, or `alike`: also
            those that say the same of another.

    Raises:
        VlzooError: gamma is negative, or there is no such form.
    """

    logged_as = "focal_itc"

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        form: Literal["elementwise", "diagonal"] = "elementwise",
        queue: int = 0,
        targets: Literal["one-hot", "image-id", "alike"] = "one-hot",
    ) -> None:
        super().__init__(queue=queue, targets=targets)
        if gamma < 0:
            fix = "choose 0 (plain ITC) or more; 2 is usual"
            raise VlzooError(f"gamma {gamma} would weigh easy pairs up", where="objective focal_itc", fix=fix)
        if form not in FORMS:
            fix = did_you_mean(str(form), FORMS, what="forms")
            raise VlzooError(f"no form called {form!r}", where="objective focal_itc", fix=fix)
        self.gamma, self.form = gamma, form

    def cross_entropy(self, target_BC: Tensor, logit_BC: Tensor, own_B: Tensor) -> Tensor:
        """`- sum_j y_j (1 - p_j)^gamma log p_j`, mean over rows, []."""
        log_p_BC = F.log_softmax(logit_BC, dim=1)
        rest = -torch.expm1(log_p_BC if self.form == "elementwise" else log_p_BC.gather(1, own_B[:, None]))
        return -(target_BC * rest.clamp(min=LEAST) ** self.gamma * log_p_BC).sum(1).mean()
