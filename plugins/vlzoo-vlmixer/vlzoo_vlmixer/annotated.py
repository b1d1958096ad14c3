"""Detector `annotations`: boxes that are known, the features those of an image encoder, averaged over each box.

Legend: B pictures, N tokens of the grid (H rows, W columns of cells), R regions, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.augment.crop import resized
from vlzoo.augment.tensor import Normalise
from vlzoo.config.schema import PartRef
from vlzoo.data.derived import picture_key
from vlzoo.data.features import Features
from vlzoo.data.fields import need, optional, typed
from vlzoo.data.records import Region, Shown
from vlzoo.data.tables import read_jsonl
from vlzoo.data_parts import Detector
from vlzoo.errors import DataError, VlzooError
from vlzoo.models.parts import build_part
from vlzoo.models.precision import default_device, device_of

Boxes = tuple[NDArray[np.float32], tuple[str, ...], NDArray[np.float32]]
"""Boxes [R, 4] as left, top, right, bottom in pixels, labels, scores [R]."""
SEED = 0
"""Of an encoder without weights: every process gives the same features."""


class Annotations(Detector):
    """Boxes of the data, or of a file of detections, with the features of any image encoder averaged over each.

    The encoder's tokens are averaged by how much of each cell lies in the box. Without weights of its own it has random
    ones, the same everywhere.

    >>> detector = Annotations(encoder={"part": "patch", "width": 8, "patch": 8, "image_size": 32}, size=32)
    >>> detector.detect([shown])[0].labels
    ('circle',)

    Args:
        encoder: an image encoder as a recipe names it: `{part: timm, name: resnet18, weights: FILE}`.
        size: the side that pictures are brought to, in pixels.
        normalise: `clip`, `imagenet` or `half`.
        file: detections to take in place of the data's boxes, one picture a line: `{"image": "x.jpg", "detections":
            [{"bbox": [x, y, w, h], "label": "dog", "score": 0.9}]}`, pixels of the stored picture.
        least: the least score of a region.
        attributes: whether attribute words stand before a label: `red circle`.
        device: cpu, cuda, cuda:1; None: a GPU where there is one.

    Raises:
        DataError: the file can't be read.
        VlzooError: the encoder can't be built, or reads regions itself.
    """

    def __init__(
        self,
        *,
        encoder: Mapping[str, Any],
        size: int = 224,
        normalise: str = "imagenet",
        file: str | None = None,
        least: float = 0.0,
        attributes: bool = False,
        device: str | None = None,
    ) -> None:
        ref = PartRef.model_validate(dict(encoder))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            self.encoder = build_part("image_encoder", ref, {"image_size": size}).eval()
        if self.encoder.input != "image":
            fix = "take an encoder of pixels, timm for instance"
            raise VlzooError(f"encoder {ref.part!r} reads regions, not pictures", where="detector annotations", fix=fix)
        self.device = device_of(device) or default_device()
        self.encoder.to(self.device)
        self.size, self.least, self.attributes = size, least, attributes
        self.normalise = Normalise.of(normalise)
        self.given = None if file is None else read_detections(file)

    @torch.inference_mode()
    def detect(self, pictures: Sequence[Shown]) -> list[Features]:
        """The known regions, in their order."""
        opened = [shown.image.open() for shown in pictures]
        levels = np.stack([np.asarray(resized(picture, self.size), np.uint8) for picture in opened])
        tokens = self.encoder(self.normalise(levels).to(self.device))
        if tokens.grid is None:
            raise VlzooError("the encoder's tokens have no places in the picture", where="detector annotations")
        made = []
        for row, (shown, picture) in enumerate(zip(pictures, opened, strict=True)):
            corner, labels, scores = self._boxes(shown)
            across, down = picture.size
            share = (corner / np.array([across, down, across, down], np.float32)).clip(0, 1)
            share_RN = cells_in(torch.from_numpy(share), *tokens.grid).to(self.device)
            feature_RD = share_RN @ tokens.x[row, tokens.prefix :].to(torch.float32)
            made.append(Features(feature_RD.cpu().numpy(), share, labels, scores, picture.size))
        return made

    def _boxes(self, shown: Shown) -> Boxes:
        if self.given is None:
            told = [region for region in shown.regions if not region.crowd and region.text]
            if not told and shown.regions:
                fix = "take the data whole, not `take: images`"
                raise DataError("the boxes have no labels", where=f"{shown.source} {shown.image_id}", fix=fix)
            corner = np.array([region.box for region in told], np.float32).reshape(-1, 4)
            corner[:, 2:] += corner[:, :2]
            return corner, tuple(self._said(region) for region in told), np.ones(len(told), np.float32)
        key = picture_key(shown.image.name)
        if key not in self.given:
            raise DataError("the file of detections says nothing of this picture", where=shown.image.name)
        corner, labels, scores = self.given[key]
        kept = scores >= self.least
        return corner[kept], tuple(label for label, keep in zip(labels, kept, strict=True) if keep), scores[kept]

    def _said(self, region: Region) -> str:
        return " ".join([*region.attributes, region.text]) if self.attributes else region.text


def cells_in(share_R4: Tensor, rows: int, columns: int) -> Tensor:
    """How much of a mean over a box each cell of a grid makes up, [R, N], each row summing to one.

    >>> cells_in(torch.tensor([[0.0, 0.0, 0.75, 0.5]]), 2, 2)
    tensor([[0.6667, 0.3333, 0.0000, 0.0000]])

    Args:
        share_R4: left, top, right, bottom as shares of the picture. One without area counts as where it lies.
        rows: of the grid.
        columns: of the grid.
    """
    across_RW = _overlap(share_R4[:, 0], share_R4[:, 2], columns)
    down_RH = _overlap(share_R4[:, 1], share_R4[:, 3], rows)
    area_RN = (down_RH[:, :, None] * across_RW[:, None, :]).flatten(1)
    return area_RN / area_RN.sum(1, keepdim=True)


def _overlap(low_R: Tensor, high_R: Tensor, count: int) -> Tensor:
    edge = torch.arange(count + 1, dtype=low_R.dtype) / count
    low_R = low_R.clamp(0, 1 - 1e-4)
    high_R = torch.maximum(high_R, low_R + 1e-4)
    return (torch.minimum(high_R[:, None], edge[1:]) - torch.maximum(low_R[:, None], edge[:-1])).clamp(min=0)


def read_detections(file: str | Path) -> dict[str, Boxes]:
    """Detections by the name of their picture's file.

    Raises:
        DataError: a line is malformed; names it.
    """
    found = {}
    for where, line in read_jsonl(Path(file)):
        boxes = [typed(each, dict, where, "a detection") for each in need(line, "detections", list, where)]
        corner = np.array([_corners(need(each, "bbox", list, where), where) for each in boxes], np.float32)
        labels = tuple(need(each, "label", str, where) for each in boxes)
        scores = np.array([1.0 if (s := optional(each, "score", float, where)) is None else s for each in boxes])
        key = picture_key(need(line, "image", str, where))
        found[key] = (corner.reshape(-1, 4), labels, scores.astype(np.float32))
    return found


def _corners(box: list[Any], where: str) -> list[float]:
    if len(box) != 4:
        raise DataError(f"a box of {len(box)} numbers, and x, y, width, height are expected", where=where)
    x, y, width, height = (typed(number, float, where, "a number of a box") for number in box)
    return [x, y, x + width, y + height]
