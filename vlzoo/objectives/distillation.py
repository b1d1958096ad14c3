"""Momentum distillation: the teacher's distribution as a second target (ALBEF, section 3.3, equations 6 and 7).

Legend: T rows (words, questions, samples), V classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.step.passes import Passes
from vlzoo.step.step import Step


def distilled(step: Step, hard: Tensor, logit_TV: Tensor, taught: Callable[[Passes], Tensor]) -> Tensor:
    """`(1 - alpha) hard + alpha soft`, with soft the cross-entropy against the teacher's probabilities.

    Args:
        step: says alpha; without a teacher, or at alpha 0, the loss is `hard` and no teacher is asked.
        hard: the loss against the true targets, one for each row [T], or their mean [].
        logit_TV: the student's logits.
        taught: from the teacher's passes to its logits [T, V]; called without gradient.

    Returns:
        As `hard`: [T], or the mean [].
    """
    if step.teacher is None or step.alpha == 0:
        return hard
    with torch.no_grad():
        soft_TV = F.softmax(taught(step.teacher), dim=-1)
    soft = -(soft_TV * F.log_softmax(logit_TV, dim=-1)).sum(-1)
    return (1 - step.alpha) * hard + step.alpha * (soft if hard.ndim else soft.mean())
