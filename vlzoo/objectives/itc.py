"""Image-text contrastive learning (ITC) with momentum queue and distillation.

Legend: B batch rows, C columns (rows of all processes, then the queue), E joint size, Q queue length.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.config.schema import Temperature
from vlzoo.errors import VlzooError
from vlzoo.interfaces import Objective
from vlzoo.objectives.queue import FeatureQueue
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Spec

_SCALE = re.compile(r"(model|objectives\.[^.]+)\.(temperature|logit_scale)")


class ITC(Objective):
    """Each picture finds its text among the batch and the queue, and each text its picture.

    ALBEF, Li et al. 2021, equations 1 and 6 (`models/model_pretrain.py`). With a teacher the keys are its
    features and the targets `alpha softmax(teacher) + (1 - alpha) hard`.

    The temperature is its own; how it starts, its bounds, whether it is learned and as what the recipe says under
    `model.temperature`, so that a fine-tuning has those of the run it starts from.

    Args:
        queue: how many features of past batches to compare with, for each modality; 0: the batch alone.
        targets: the hard targets: `one-hot`, as ALBEF's; `image-id`: all texts of one picture are positives; `alike`:
            also those of the batch that say the same of another.
    """

    needs: ClassVar[tuple[str, ...]] = ("text_encoder", "joint", "pooled_text")
    logged_as: ClassVar[str] = "itc"
    temperature: nn.Parameter
    logit_scale: nn.Parameter | None

    def __init__(self, *, queue: int = 0, targets: Literal["one-hot", "image-id", "alike"] = "one-hot") -> None:
        super().__init__()
        if queue < 0:
            fix = "say 0 for the batch alone; ALBEF has 65536"
            raise VlzooError(f"a queue of {queue} features can't be", where="objective itc", fix=fix)
        self.length, self.targets = queue, targets
        self.queue: FeatureQueue | None = None

    def build(self, spec: Spec) -> None:
        """Make the temperature and the queue."""
        scale = Temperature.model_validate(dict(spec.temperature))
        self.bounds, initial = (scale.low, scale.high), torch.tensor(scale.initial)
        as_log = scale.learned_as == "logit_scale"
        given = {"logit_scale": -initial.log() if as_log else None, "temperature": None if as_log else initial}
        for name, value in given.items():
            self.register_parameter(name, None if value is None else nn.Parameter(value, requires_grad=scale.learned))
        self.queue = FeatureQueue(self.length, spec.joint) if self.length else None

    def plan(self, plan: Plan) -> None:
        """Nothing: no fused state is read."""

    def offers(self) -> Mapping[str, Any]:
        """`contrast`: itself."""
        return {"contrast": self}

    def start_from(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What has its names; the temperature of another contrast, or of a model of before it was the contrast's."""
        own, other = ("temperature", "logit_scale") if self.logit_scale is None else ("logit_scale", "temperature")
        taken = {each: tensor for each, tensor in super().start_from(name, tensors).items() if each != other}
        others = {full: tensor for full, tensor in tensors.items() if _SCALE.fullmatch(full)}
        if own not in taken and len(others) == 1:
            ((full, tensor),) = others.items()
            same = full.endswith(f".{own}")
            taken[own] = tensor if same else -tensor.log() if own == "logit_scale" else (-tensor).exp()
        return taken

    def before_step(self) -> None:
        """Keep the temperature within its bounds (ALBEF: [0.001, 0.5], before every forward; CLIP: 1/100 at least)."""
        low, high = self.bounds
        with torch.no_grad():
            if self.logit_scale is None:
                self.temperature.clamp_(low, high)
            else:
                self.logit_scale.clamp_(-math.log(high), -math.log(low))

    @property
    def tau(self) -> Tensor:
        """The temperature, [], whatever it is learned as."""
        return self.temperature if self.logit_scale is None else (-self.logit_scale).exp()

    def logits(self, cosine: Tensor) -> Tensor:
        """Cosines over the temperature."""
        return cosine / self.tau if self.logit_scale is None else cosine * self.logit_scale.exp()

    def forward(self, step: Step) -> Loss:
        """The mean of both directions' cross-entropies."""
        student = self.against_keys(step, step.image_embed(), step.text_embed())
        hard_BC = self.hard_targets(step)
        target_i2t, target_t2i = self.soften(step, hard_BC)
        own_B = step.columns.own(hard_BC.device)
        i2t, t2i = (
            self.cross_entropy(target_BC, logit_BC, own_B)
            for target_BC, logit_BC in zip((target_i2t, target_t2i), student, strict=True)
        )
        total = (i2t + t2i) / 2
        return Loss(total, {self.logged_as: total.detach(), "temperature": self.tau.detach()}, len(step))

    def cross_entropy(self, target_BC: Tensor, logit_BC: Tensor, own_B: Tensor) -> Tensor:
        """`- sum_j y_j log p_j`, mean over rows, []; what a variant of ITC replaces.

        Args:
            target_BC: which columns are positives, each row summing to one.
            logit_BC: scaled cosines.
            own_B: the column of each row's own pair, int64.
        """
        return -(target_BC * F.log_softmax(logit_BC, dim=1)).sum(1).mean()

    def against_keys(self, step: Step, image_BE: Tensor, text_BE: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled cosines with the keys of all rows, then the queue's, [B, C]: picture to text, text to picture."""
        image_key, text_key = step.keys
        i2t_BC, t2i_BC = image_BE @ text_key.T, text_BE @ image_key.T
        if self.queue is not None:
            # Products are joined, not keys: a copy of both queues costs more than the products.
            i2t_BC = torch.cat([i2t_BC, self.queue.against(image_BE, "text")], dim=1)
            t2i_BC = torch.cat([t2i_BC, self.queue.against(text_BE, "image")], dim=1)
        return self.logits(i2t_BC), self.logits(t2i_BC)

    def hard_targets(self, step: Step) -> Tensor:
        """Which columns are positives, each row summing to one, [B, C]."""
        ids_B, device = step.batch.image_id, step.batch.key.device
        if self.targets == "one-hot" or (self.targets == "image-id" and ids_B is None):
            width = step.columns.count + (self.length if self.queue is not None else 0)
            return (step.columns.own(device)[:, None] == torch.arange(width, device=device)).float()
        if self.targets == "alike":
            equal_BC = step.alike
        else:
            assert ids_B is not None
            equal_BC = ids_B[:, None] == step.columns.gather(ids_B)[None]
        if self.queue is not None:
            # The queue knows pictures alone; random ids of -1 equal none of them.
            own_B = torch.full_like(step.batch.key, -1) if ids_B is None else ids_B
            equal_BC = torch.cat([equal_BC, own_B[:, None] == self.queue.ids[None]], dim=1)
        share_BC = equal_BC.float()
        return share_BC / share_BC.sum(1, keepdim=True)

    def soften(self, step: Step, hard_BC: Tensor) -> tuple[Tensor, Tensor]:
        """The targets of both directions, with the teacher's share."""
        if step.teacher is None or step.alpha == 0:
            return hard_BC, hard_BC
        with torch.no_grad():
            taught = self.against_keys(step, step.teacher.image_embed(), step.teacher.text_embed())
            i2t, t2i = (step.alpha * F.softmax(logit, dim=1) + (1 - step.alpha) * hard_BC for logit in taught)
        return i2t, t2i

    def after_step(self, step: Step) -> None:
        """Enqueue the keys of all rows."""
        if self.queue is not None:
            ids_B = step.batch.image_id
            self.queue.push(*step.keys, None if ids_B is None else step.columns.gather(ids_B))
