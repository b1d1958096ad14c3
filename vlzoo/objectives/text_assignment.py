"""Text assignment: which of two pictures does a text describe, if any (ALBEF `model_pretrain_nlvr.py`).

Prepares a fusion of two pictures for NLVR2 with image-text pairs alone.

Legend: B batch rows, D width, E joint size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.interfaces import Objective
from vlzoo.step.negatives import negative_weights
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Fused, Loss, Spec

FIRST, SECOND, NEITHER = 0, 1, 2
"""The classes: the text's own picture comes first, comes second, or is not there."""


@dataclass(frozen=True)
class Assignment:
    """Two pictures for each text.

    Attributes:
        rows: the batch rows of the first and of the second picture, [B, 2] int64.
        labels: which of them is the text's own, [B] int64.
    """

    rows: Tensor
    labels: Tensor


class TextAssignment(Objective):
    """A text with its own picture and a hard negative, in either order, or with two hard negatives: three classes.

    Each has a third of the chance. Negatives are drawn by the likeness of pictures. Under fewer than three rows there
    are no two negatives, and a text is never given two.

    Args:
        temperature: of the softmax over pictures that negatives are drawn by.
    """

    needs = ("text_encoder", "joint", "fusion", "two_pictures")

    def __init__(self, *, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def build(self, spec: Spec) -> None:
        """Make the three-class head."""
        self.head = nn.Linear(spec.pooled_width, 3)

    def plan(self, plan: Plan) -> None:
        """Nothing: it makes a pass of its own, over pairs of pictures that no other objective reads."""

    def forward(self, step: Step) -> Loss:
        """Cross-entropy over the three classes; zero for a batch of one, which has no negative."""
        self.alike(step)  # by every process, those too that have no negative
        if len(step) < 2:
            zero = self.head.bias.sum() * 0.0
            return Loss(zero, {"text_assignment": zero.detach()}, 0)
        assigned = self.assign(step)
        logit_B3 = self.head(self.fused(step, assigned, first_only=True).cls)
        total = F.cross_entropy(logit_B3, assigned.labels)
        right = (logit_B3.argmax(1) == assigned.labels).float().mean()
        return Loss(total, {"text_assignment": total.detach(), "text_assignment_accuracy": right.detach()}, len(step))

    def fused(self, step: Step, assigned: Assignment, *, first_only: bool = False) -> Fused:
        """The texts after reading their two pictures, x [B, L, D]; [B, 1, D] under `first_only`."""
        prepared = step.prepared()
        pair = [prepared.gather(assigned.rows[:, slot]) for slot in (0, 1)]
        positions_B1 = torch.zeros_like(assigned.labels)[:, None] if first_only else None
        return step.model.fusion.fuse(step.text(), pair, positions_PK=positions_B1)

    @torch.no_grad()
    def assign(self, step: Step) -> Assignment:
        """Draw a class for each text, and its pictures."""
        weight_BB = self.weights(step)
        key_B, own_B = step.batch.key, torch.arange(len(step), device=weight_BB.device)
        kinds = 3 if len(step) > 2 else 2
        label_B = (step.draws.uniform("assignment", key_B, 1)[:, 0] * kinds).long().clamp(max=kinds - 1)
        first_B = step.draws.choose("assignment-first", key_B, weight_BB, key_B)
        rest_BB = weight_BB.scatter(1, first_B[:, None], 0.0)
        # Where all the rest has underflowed, any other picture will do that is not alike; where there is none, a text
        # can't be given two negatives.
        legal_BB = (~self.alike(step)).to(rest_BB.dtype).scatter(1, torch.stack([own_B, first_B], 1), 0.0)
        rest_BB = torch.where(rest_BB.sum(1, keepdim=True) <= 0, legal_BB, rest_BB)
        second_B = step.draws.choose("assignment-second", key_B, rest_BB, key_B)
        label_B = torch.where(legal_BB.sum(1) > 0, label_B, label_B % 2)
        neither = label_B == NEITHER
        left_B = torch.where(label_B == FIRST, own_B, first_B)
        right_B = torch.where(label_B == SECOND, own_B, torch.where(neither, second_B, first_B))
        return Assignment(torch.stack([left_B, right_B], dim=1), label_B)

    def weights(self, step: Step) -> Tensor:
        """Chances of each picture to be a text's negative, [B, B]: by its likeness to the text's own picture."""
        image_BE = step.image_embed()
        return negative_weights(image_BE @ image_BE.T / self.temperature, self.alike(step))

    def alike(self, step: Step) -> Tensor:
        """Which rows of this process show or say the same, [B, B] bool; every process must ask."""
        return step.alike[:, step.columns.own(step.batch.key.device)]
