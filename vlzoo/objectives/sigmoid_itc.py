"""Image-text contrast by sigmoids: whether a picture and a text belong together is asked of each pair by itself.

Legend: B batch rows, C columns (rows of all processes).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Spec


class SigmoidITC(Objective):
    """`- sum_ij log sigmoid(z_ij (t x_i y_j + b)) / B`, z_ij 1 where picture i and text j belong together, else -1.

    SigLIP, Zhai et al., ICCV 2023, equation 1. The scale t = exp(t') and the bias b are learned: of many pairs few
    belong together, and the bias spares the first steps from learning that. With a momentum teacher it is the mean of
    two losses, as of a contrast's two directions: pictures against the teacher's texts, texts against its pictures.

    >>> SigmoidITC()(step).total.shape
    torch.Size([])

    Args:
        scale: t at the start; SigLIP's is 10.
        bias: b at the start; SigLIP's is -10.
        targets: which pairs belong together: `one-hot`, each row's own, as SigLIP's; `alike`: also those of the batch
            that show or say the same.

    Raises:
        VlzooError: a scale that is not above 0, or a bias that is no number.
    """

    needs: ClassVar[tuple[str, ...]] = ("text_encoder", "joint", "pooled_text")

    def __init__(
        self, *, scale: float = 10.0, bias: float = -10.0, targets: Literal["one-hot", "alike"] = "one-hot"
    ) -> None:
        super().__init__()
        if not 0 < scale < math.inf:
            fix = "give a factor above 0; SigLIP's is 10"
            raise VlzooError(f"cosines can't be scaled by {scale}", where="objective sigmoid_itc", fix=fix)
        if not math.isfinite(bias):
            raise VlzooError(f"a bias of {bias} can't be", where="objective sigmoid_itc", fix="SigLIP's is -10")
        self.targets = targets
        self.logit_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.logit_bias = nn.Parameter(torch.tensor(float(bias)))

    def build(self, spec: Spec) -> None:
        """Nothing: what it learns is there."""

    def plan(self, plan: Plan) -> None:
        """Nothing: no fused state is read."""

    def offers(self) -> Mapping[str, Any]:
        """`contrast`: itself."""
        return {"contrast": self}

    def logits(self, cosine: Tensor) -> Tensor:
        """Cosines times the scale, and the bias."""
        return cosine * self.logit_scale.exp() + self.logit_bias

    def forward(self, step: Step) -> Loss:
        """The loss of all pairs, by rows."""
        image_key_CE, text_key_CE = step.keys
        sign_BC = torch.where(self.belongs(step), 1.0, -1.0)
        total = self._of_pairs(step.image_embed() @ text_key_CE.T, sign_BC)
        if step.teacher is not None:  # whose keys teach nothing: without this half no text would be learned
            total = (total + self._of_pairs(step.text_embed() @ image_key_CE.T, sign_BC)) / 2
        parts = {"scale": self.logit_scale.exp(), "bias": self.logit_bias}
        return Loss(total, {f"sigmoid_{name}": part.detach() for name, part in parts.items()}, len(step))

    def _of_pairs(self, cosine_BC: Tensor, sign_BC: Tensor) -> Tensor:
        """The loss of pairs whose sign says whether they belong together, mean over rows, []."""
        return -F.logsigmoid(sign_BC * self.logits(cosine_BC).float()).sum(1).mean()

    def belongs(self, step: Step) -> Tensor:
        """Which columns belong to each row, [B, C] bool."""
        if self.targets == "alike":
            return step.alike
        device = step.batch.key.device
        return step.columns.own(device)[:, None] == torch.arange(step.columns.count, device=device)[None]
