"""ALBEF's pre-training step as the official code makes it, in plain torch: what `step.py` compares ours with.

Keys and values are projected for every pass, negatives are concatenated image tokens, the vocabulary head runs on all
tokens of student and teacher, the average is a loop that makes new tensors, the optimiser is the plain AdamW.
Written from the description of the official code (`../shared/reference/ALBEF_XVLM.md`, sections 1 and 10).

Legend: B batch rows, L text tokens, E joint size, Q queue length, C = B + Q, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.batch import Batch
from vlzoo.draws import IGNORED, Draws
from vlzoo.text.masking import Drawing, Pieces

from .albef_layers import Sizes, TextEncoder, VisionTransformer

MOMENTUM, ALPHA, MASKED_SHARE, MASK_ID = 0.995, 0.4, 0.15, 103


class Encoded(NamedTuple):
    """What both encoders of one side give: states [B, N, D] and [B, L, D], unit vectors [B, E]."""

    image: Tensor
    text: Tensor
    image_feat: Tensor
    text_feat: Tensor


class Albef(nn.Module):
    """The official model: student, momentum twins, queues.

    Args:
        sizes: its sizes.
    """

    image_queue: Tensor
    text_queue: Tensor
    queue_ptr: Tensor
    text_encoder: TextEncoder
    text_encoder_m: TextEncoder

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        for end in ("", "_m"):
            self.add_module(f"visual_encoder{end}", VisionTransformer(sizes))
            self.add_module(f"text_encoder{end}", TextEncoder(sizes))
            self.add_module(f"vision_proj{end}", nn.Linear(sizes.width, sizes.joint))
            self.add_module(f"text_proj{end}", nn.Linear(sizes.width, sizes.joint))
        self.itm_head = nn.Linear(sizes.width, 2)
        self.temp = nn.Parameter(torch.tensor(0.07))
        self.register_buffer("image_queue", F.normalize(torch.randn(sizes.joint, sizes.queue), dim=0))
        self.register_buffer("text_queue", F.normalize(torch.randn(sizes.joint, sizes.queue), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))
        self.twins = [
            (getattr(self, name), getattr(self, f"{name}_m"))
            for name in ("visual_encoder", "text_encoder", "vision_proj", "text_proj")
        ]
        for _, twin in self.twins:
            twin.requires_grad_(False)

    @torch.no_grad()
    def follow(self) -> None:
        """The twins' moving average, one parameter after the other, in new tensors."""
        for student, twin in self.twins:
            for p, q in zip(student.parameters(), twin.parameters(), strict=True):
                q.data = q.data * MOMENTUM + p.data * (1.0 - MOMENTUM)

    def encode(self, image_B3HW: Tensor, ids_BL: Tensor, mask_BL: Tensor, end: str = "") -> Encoded:
        """Both encoders; `end` is `_m` for the twins."""
        image = getattr(self, f"visual_encoder{end}")(image_B3HW)
        text = getattr(self, f"text_encoder{end}").bert.text(ids_BL, mask_BL)
        image_feat = F.normalize(getattr(self, f"vision_proj{end}")(image[:, 0]), dim=-1)
        return Encoded(image, text, image_feat, F.normalize(getattr(self, f"text_proj{end}")(text[:, 0]), dim=-1))

    def forward(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """The three losses by vlzoo's names."""
        with torch.no_grad():
            self.temp.clamp_(0.001, 0.5)
        image_B3HW, text = batch.images["image"], batch.texts["text"]
        own = self.encode(image_B3HW, text.ids, text.mask)
        with torch.no_grad():
            self.follow()
            taught = self.encode(image_B3HW, text.ids, text.mask, "_m")
        itc, sims = self._contrast(own, taught)
        self._enqueue(taught)
        itm = self._match(own, text.mask, sims, draws, batch.key)
        return {"itc": itc, "itm": itm, "mlm": self._words(own.image, taught.image, batch, draws)}

    def _contrast(self, own: Encoded, taught: Encoded) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        image_EC = torch.cat([taught.image_feat.t(), self.image_queue.clone().detach()], dim=1)
        text_EC = torch.cat([taught.text_feat.t(), self.text_queue.clone().detach()], dim=1)
        with torch.no_grad():
            hard_BC = torch.zeros(len(own.image), image_EC.shape[1])
            hard_BC.fill_diagonal_(1)
            soft = (taught.image_feat @ text_EC / self.temp, taught.text_feat @ image_EC / self.temp)
            targets = [ALPHA * F.softmax(s, dim=1) + (1 - ALPHA) * hard_BC for s in soft]
        i2t_BC, t2i_BC = own.image_feat @ text_EC / self.temp, own.text_feat @ image_EC / self.temp
        pairs = zip((i2t_BC, t2i_BC), targets, strict=True)
        losses = [-torch.sum(F.log_softmax(s, dim=1) * y, dim=1).mean() for s, y in pairs]
        return sum(losses, torch.zeros(())) / 2, (i2t_BC, t2i_BC)

    @torch.no_grad()
    def _enqueue(self, taught: Encoded) -> None:
        batch, place = len(taught.image), int(self.queue_ptr)
        self.image_queue[:, place : place + batch] = taught.image_feat.T
        self.text_queue[:, place : place + batch] = taught.text_feat.T
        self.queue_ptr[0] = (place + batch) % self.sizes.queue

    def _match(self, own: Encoded, mask_BL: Tensor, sims: tuple[Tensor, Tensor], draws: Draws, key_B: Tensor) -> Tensor:
        bert, batch = self.text_encoder.bert, len(own.image)
        positive = bert.fuse(own.text, mask_BL, own.image)
        with torch.no_grad():
            i2t_BB, t2i_BB = (F.softmax(s[:, :batch], dim=1).fill_diagonal_(0) for s in sims)
        image_rows = drawn(t2i_BB, "image-for-text", draws, key_B)
        text_rows = drawn(i2t_BB, "text-for-image", draws, key_B)
        image = torch.cat([torch.stack([own.image[i] for i in image_rows]), own.image])
        text = torch.cat([own.text, torch.stack([own.text[i] for i in text_rows])])
        mask = torch.cat([mask_BL, torch.stack([mask_BL[i] for i in text_rows])])
        negative = bert.fuse(text, mask, image)
        logit_P2 = self.itm_head(torch.cat([positive[:, 0], negative[:, 0]]))
        label_P = torch.cat([torch.ones(batch, dtype=torch.long), torch.zeros(2 * batch, dtype=torch.long)])
        return F.cross_entropy(logit_P2, label_P)

    def _words(self, image: Tensor, taught_image: Tensor, batch: Batch, draws: Draws) -> Tensor:
        text = batch.texts["text"]
        masked = Pieces(MASKED_SHARE)(text, Drawing(draws, batch.key, "mlm", self.sizes.vocab, MASK_ID))
        label_BL = masked.labels
        assert label_BL is not None
        with torch.no_grad():
            soft_BLV = F.softmax(self.text_encoder_m.predict(masked.ids, text.mask, taught_image), dim=-1)
        logit_BLV = self.text_encoder.predict(masked.ids, text.mask, image)
        hard = F.cross_entropy(logit_BLV.flatten(0, 1), label_BL.flatten(), ignore_index=IGNORED)
        soft_BL = -torch.sum(F.log_softmax(logit_BLV, dim=-1) * soft_BLV, dim=-1)
        return (1 - ALPHA) * hard + ALPHA * soft_BL[label_BL != IGNORED].mean()


def drawn(weight_BB: Tensor, purpose: str, draws: Draws, key_B: Tensor) -> list[int]:
    """The rows drawn; the official multinomial of every row is made too, and its result replaced by the step's draw."""
    for row in weight_BB:
        torch.multinomial(row, 1).item()
    return draws.choose(purpose, key_B, weight_BB, key_B).tolist()


@dataclass
class Literal:
    """The model at work with its optimiser.

    Attributes:
        model: the model.
        lr: learning rate.
        weight_decay: of all but one-dimensional parameters and biases.
    """

    model: Albef
    lr: float
    weight_decay: float

    def __post_init__(self) -> None:
        named = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        spared = [p for n, p in named.items() if p.ndim == 1 or n.endswith(".bias")]
        decayed = [p for n, p in named.items() if p.ndim != 1 and not n.endswith(".bias")]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": spared, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=self.lr, foreach=False, fused=False)

    def update(self, batch: Batch, draws: Draws) -> dict[str, float]:
        """One step; gives its losses."""
        losses = self.model(batch, draws)
        self.optimizer.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        self.optimizer.step()
        return {name: float(loss.detach()) for name, loss in losses.items()}
