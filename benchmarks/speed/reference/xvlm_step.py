"""X-VLM's image and region updates as the official code makes them, in plain torch, for `step.py --xvlm`.

Keys and values are projected for every row of every pass (positives, negatives, masked words, boxes), negatives are
concatenated image tokens, a region's row is a copy of its picture's tokens, all positions of the last layer are
computed, plain and masked texts are encoded one after the other, and the optimiser is a loop over the weights.
Written from the description of the official code (`../shared/reference/ALBEF_XVLM.md`, section 7).

Legend: M pictures, R rows, N image tokens, L text tokens, K masked positions with padding, E joint size, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)
from torchvision.ops import box_convert, generalized_box_iou

from vlzoo.batch import Batch, Text
from vlzoo.draws import IGNORED, Draws
from vlzoo.text.masking import Drawing, Masking

from .albef_layers import TextEncoder
from .albef_step import MASK_ID, drawn
from .xvlm_layers import XvlmSizes, contrast_of, head_of, vision_of

FLOOR = 1e-5
"""Added to every chance of a negative."""


class Seen(NamedTuple):
    """What the image encoder gives: each row's tokens [R, N, D], which it reads [R, N], its picture's tokens."""

    rows: Tensor
    read: Tensor
    whole: Tensor


class Xvlm(nn.Module):
    """The official model.

    Args:
        sizes: its sizes.
        rule: which words are masked.
    """

    def __init__(self, sizes: XvlmSizes, rule: Masking) -> None:
        super().__init__()
        self.sizes, self.rule = sizes, rule
        self.vision_encoder, self.text_encoder = vision_of(sizes), TextEncoder(sizes)
        self.vision_proj = nn.Linear(sizes.source, sizes.joint)
        self.text_proj = nn.Linear(sizes.width, sizes.joint)
        self.itm_head, self.bbox_head = head_of(sizes.width, 2), head_of(sizes.width, 4)
        self.temp = nn.Parameter(torch.tensor(0.07))

    def see(self, batch: Batch) -> Seen:
        """Each row's picture or region."""
        image_M3HW = batch.images["image"]
        if "region" not in batch.views:
            rows = self.vision_encoder(image_M3HW)
            return Seen(rows, torch.ones(rows.shape[:2]), rows)
        view = batch.views["region"]
        assert view.rows is not None and view.cells is not None
        read_RN = torch.cat([torch.ones(len(view.cells), 1), view.cells.float()], dim=1)
        rows, whole = self.vision_encoder.regions(image_M3HW, view.rows, read_RN)
        return Seen(rows, read_RN, whole[view.rows])

    def forward(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """The losses by vlzoo's names: `itc`, `itm`, `mlm`, and of regions `box_l1` and `box_giou`."""
        with torch.no_grad():
            self.temp.clamp_(0.001, 0.5)
        text, seen = batch.texts["text"], self.see(batch)
        states = self.text_encoder.bert.text(text.ids, text.mask)
        image_RE = contrast_of(self.vision_proj(seen.rows[:, 0]))
        text_RE = contrast_of(self.text_proj(states[:, 0]))
        logit_RR = image_RE @ text_RE.t() / self.temp
        own_R = torch.arange(len(logit_RR))
        itc = (F.cross_entropy(logit_RR, own_R) + F.cross_entropy(logit_RR.t(), own_R)) / 2
        itm = self._match(seen, states, text.mask, logit_RR, draws, batch.key)
        losses = {"itc": itc, "itm": itm, "mlm": self._words(seen, text, draws, batch.key)}
        if "box" in batch.extra:
            losses |= self._boxes(seen, states, text.mask, batch)
        return losses

    def _match(
        self, seen: Seen, states: Tensor, mask_RL: Tensor, logit_RR: Tensor, draws: Draws, key_R: Tensor
    ) -> Tensor:
        bert, rows = self.text_encoder.bert, len(states)
        with torch.no_grad():
            i2t_RR, t2i_RR = (
                (F.softmax(each, dim=1) + FLOOR).fill_diagonal_(0) for each in (logit_RR, logit_RR.t().contiguous())
            )
        image_rows = drawn(t2i_RR, "image-for-text", draws, key_R)
        text_rows = drawn(i2t_RR, "text-for-image", draws, key_R)
        positive = bert.fuse(states, mask_RL, seen.rows, seen.read)
        image, read = (torch.cat([torch.stack([each[i] for i in image_rows]), each]) for each in (seen.rows, seen.read))
        text, mask = (torch.cat([each, torch.stack([each[i] for i in text_rows])]) for each in (states, mask_RL))
        negative = bert.fuse(text, mask, image, read)
        logit_P2 = self.itm_head(torch.cat([positive[:, 0], negative[:, 0]]))
        label_P = torch.cat([torch.ones(rows, dtype=torch.long), torch.zeros(2 * rows, dtype=torch.long)])
        return F.cross_entropy(logit_P2, label_P)

    def _words(self, seen: Seen, text: Text, draws: Draws, key_R: Tensor) -> Tensor:
        masked = self.rule(text, Drawing(draws, key_R, "mlm", self.sizes.vocab, MASK_ID))
        place_RK, label_RK = places_of(masked, self.sizes.most)
        bert = self.text_encoder.bert
        states = bert.fuse(bert.text(masked.ids, text.mask), text.mask, seen.rows, seen.read)
        masked_RKD = states.gather(1, place_RK[..., None].expand(-1, -1, states.shape[-1]))
        logit_RKV = self.text_encoder.cls["predictions"](masked_RKD)
        return F.cross_entropy(logit_RKV.flatten(0, 1), label_RK.flatten(), ignore_index=IGNORED)

    def _boxes(self, seen: Seen, states: Tensor, mask_RL: Tensor, batch: Batch) -> dict[str, Tensor]:
        fused = self.text_encoder.bert.fuse(states, mask_RL, seen.whole)
        found_R4 = self.bbox_head(fused[:, 0]).sigmoid()
        wanted_R4, counts_R = batch.extra["box"], batch.extra["is_region"].float()
        l1 = (F.l1_loss(found_R4, wanted_R4, reduction="none") * counts_R[:, None]).sum() / counts_R.sum()
        found, wanted = (box_convert(each, "cxcywh", "xyxy") for each in (found_R4, wanted_R4))
        giou_R = 1 - torch.diag(generalized_box_iou(found, wanted))
        if bool((found[:, 2:] < found[:, :2]).any() or (wanted[:, 2:] < wanted[:, :2]).any()):
            giou_R = torch.zeros_like(giou_R)
        return {"box_l1": l1, "box_giou": (giou_R * counts_R).sum() / counts_R.sum()}


def places_of(masked: Text, most: int) -> tuple[Tensor, Tensor]:
    """Positions of the masked words, padded with 0, and the words, padded with `IGNORED`, [R, K] each."""
    assert masked.labels is not None
    place_RK = torch.zeros(len(masked.ids), most, dtype=torch.long)
    label_RK = torch.full_like(place_RK, IGNORED)
    for row, labels in enumerate(masked.labels.tolist()):
        for k, place in enumerate(i for i, label in enumerate(labels) if label != IGNORED):
            place_RK[row, k], label_RK[row, k] = place, labels[place]
    return place_RK, label_RK


@dataclass
class LoopAdamW:
    """AdamW as `transformers` had it: one weight after the other, decay behind the step.

    Attributes:
        groups: parameters and their decay.
        lr: learning rate.
        betas: of both averages.
        eps: added to the root.
        state: of each parameter: how many steps, and both averages.
    """

    groups: list[tuple[list[nn.Parameter], float]]
    lr: float
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    state: dict[int, tuple[int, Tensor, Tensor]] = field(default_factory=dict)

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights."""
        for parameters, decay in self.groups:
            for p in parameters:
                if p.grad is not None:
                    self._change(p, p.grad, decay)

    def _change(self, p: nn.Parameter, grad: Tensor, decay: float) -> None:
        count, mean, square = self.state.get(id(p), (0, torch.zeros_like(p), torch.zeros_like(p)))
        count, (first, second) = count + 1, self.betas
        mean.mul_(first).add_(grad, alpha=1 - first)
        square.mul_(second).addcmul_(grad, grad, value=1 - second)
        rate = self.lr * math.sqrt(1 - second**count) / (1 - first**count)
        p.addcdiv_(mean, square.sqrt().add_(self.eps), value=-rate)
        if decay:
            p.add_(p, alpha=-self.lr * decay)
        self.state[id(p)] = (count, mean, square)


SPARED = ("bias", "LayerNorm.", "norm.", "norm1.", "norm2.")
"""What stands in the names of weights that do not decay."""


@dataclass
class Literal:
    """The model at work with its optimiser.

    Attributes:
        model: the model.
        lr: learning rate.
        weight_decay: of all whose names have nothing of `SPARED`.
        clip: largest norm of all gradients together.
    """

    model: Xvlm
    lr: float
    weight_decay: float
    clip: float = 1.0

    def __post_init__(self) -> None:
        named = dict(self.model.named_parameters())
        spared = [p for n, p in named.items() if any(each in n for each in SPARED)]
        decayed = [p for n, p in named.items() if not any(each in n for each in SPARED)]
        self.optimizer = LoopAdamW([(decayed, self.weight_decay), (spared, 0.0)], self.lr)

    def update(self, batch: Batch, draws: Draws) -> dict[str, float]:
        """One update; gives its losses."""
        losses = self.model(batch, draws)
        self.model.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        return {name: float(loss.detach()) for name, loss in losses.items()}
