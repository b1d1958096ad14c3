"""A Faster R-CNN fitted to the boxes of a data source: `vlzoo detect --train`.

The default architecture and length are for `scenes-objects`, six shapes of 9 to 23 pixels on 64: minutes on one core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.faster_rcnn import FasterRCNN

from vlzoo.data.permute import Permutation
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.hashing import mix
from vlzoo.progress import Progress
from vlzoo_vlmixer.rcnn import Facts, build_rcnn, pixels_of


@dataclass(frozen=True)
class Fitting:
    """How a detector is fitted.

    Attributes:
        arch: the architecture.
        steps: updates.
        batch: pictures of an update.
        lr: the highest learning rate, in the middle of a third of the steps; it then falls to zero (one cycle).
        seed: of weights, order and flips.
        side: the shorter side that pictures are brought to, in pixels; 0: the architecture's own.
    """

    arch: str = "small"
    steps: int = 1000
    batch: int = 8
    lr: float = 2e-3
    seed: int = 0
    side: int = 0


def classes_of(source: Any) -> tuple[str, ...]:
    """The labels of a source's boxes, in order.

    Raises:
        DataError: it has none.
    """
    names = sorted({region.text for sample in source for region in sample.regions if region.text and not region.crowd})
    if not names:
        fix = "take a source of boxes with labels: scenes-objects, coco-objects"
        raise DataError("it has no boxes with labels, and a detector learns from them", where=source.name, fix=fix)
    return tuple(names)


def fit(source: Any, fitting: Fitting, device: torch.device) -> tuple[FasterRCNN, Facts]:
    """Fit a detector; the same source and seed give the same.

    Args:
        source: with a picture and boxes a sample.
        fitting: how.
        device: where.

    Raises:
        DataError: the source has no boxes with labels, or a picture can't be read.
    """
    facts = Facts(fitting.arch, classes_of(source), fitting.side)
    kept = [row for row, sample in enumerate(source) if any(not region.crowd for region in sample.regions)]
    torch.manual_seed(fitting.seed)
    model = build_rcnn(facts).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=fitting.lr, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, fitting.lr, total_steps=fitting.steps)
    progress = Progress("fitting", fitting.steps)
    with closing(progress):
        for step, (pixels, targets) in enumerate(_batches(source, kept, facts, fitting), start=1):
            told = [{name: value.to(device) for name, value in target.items()} for target in targets]
            losses = model([each.to(device) for each in pixels], told)
            total = torch.stack(list(losses.values())).sum()
            optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            progress.update(step, {"loss": float(total.detach())})
    return model.eval(), facts


def _batches(
    source: Any, kept: Sequence[int], facts: Facts, fitting: Fitting
) -> Iterator[tuple[list[Tensor], list[dict[str, Tensor]]]]:
    for step in range(fitting.steps):
        made = []
        for drawn in range(step * fitting.batch, (step + 1) * fitting.batch):
            epoch, place = divmod(drawn, len(kept))
            row = kept[Permutation(len(kept), f"{fitting.seed}/{epoch}")[place]]
            made.append(example(source[row], facts.classes, flip=bool(mix(fitting.seed, drawn) & np.uint64(1))))
        yield [pixels for pixels, _ in made], [target for _, target in made]


def example(sample: Sample, classes: Sequence[str], *, flip: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """A picture with its boxes as torchvision's detectors are trained.

    Args:
        sample: with one picture.
        classes: the labels, in order.
        flip: left and right change places.

    Returns:
        pixels [3, H, W] float32; `boxes` [R, 4] (left, top, right, bottom in pixels) and `labels` [R], from 1.
    """
    (pixels,) = pixels_of([sample.images[0].open()])
    told = [region for region in sample.regions if region.text in classes and not region.crowd]
    corner = torch.tensor([region.box for region in told], dtype=torch.float32).reshape(-1, 4)
    corner[:, 2:] += corner[:, :2]
    if flip:
        pixels, wide = pixels.flip(-1), pixels.shape[-1]
        corner = torch.stack([wide - corner[:, 2], corner[:, 1], wide - corner[:, 0], corner[:, 3]], dim=1)
    labels = torch.tensor([classes.index(region.text) + 1 for region in told], dtype=torch.int64)
    return pixels, {"boxes": corner, "labels": labels}


def shortened(fitting: Fitting, **given: Any) -> Fitting:
    """A fitting with what was given in place of its own."""
    return replace(fitting, **{name: value for name, value in given.items() if value is not None})
