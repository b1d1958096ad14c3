"""Detector `torchvision`: Faster R-CNN, the features those of its box head.

Legend: R regions, F width of a feature.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vlzoo.data.features import Features
from vlzoo.data.records import Shown
from vlzoo.data_parts import Detector
from vlzoo.models.precision import default_device, device_of
from vlzoo_vlmixer.rcnn import pixels_of, read_rcnn

if TYPE_CHECKING:
    from PIL.Image import Image


class TorchvisionDetector(Detector):
    """A Faster R-CNN of torchvision: ResNet-50 FPN, MobileNet v3, or one that `vlzoo detect --train` fitted.

    >>> detector = TorchvisionDetector(weights=folder / "small.safetensors", least=0.01, most=3)
    >>> detector.detect([shown])[0].features.shape
    (3, 128)

    Args:
        weights: file of its weights: safetensors of `vlzoo detect --train`, or a state dict of torchvision's.
        arch: resnet50_fpn, resnet50_fpn_v2, mobilenet_v3_large_fpn, mobilenet_v3_large_320_fpn or small; None: as the
            weights say.
        classes: file with the name of a class a line; None: as the weights say, COCO's where they are of 91 classes.
        least: the least score of a region.
        most: the most regions of a picture.
        side: the shorter side that pictures are brought to, in pixels; None: as the weights say, or usual.
        device: cpu, cuda, cuda:1; None: a GPU where there is one.

    Raises:
        CheckpointError: the weights can't be read, or are of another architecture.
        DataError: the architecture or the names of the classes are not known.
        UnknownName: no such architecture.
    """

    def __init__(
        self,
        *,
        weights: str | Path,
        arch: str | None = None,
        classes: str | None = None,
        least: float = 0.2,
        most: int = 50,
        side: int | None = None,
        device: str | None = None,
    ) -> None:
        options = {"box_score_thresh": least, "box_detections_per_img": most}
        self.model, self.names = read_rcnn(weights, arch, classes, side, **options)
        self.device = device_of(device) or default_device()
        self.model.to(self.device)

    def detect(self, pictures: Sequence[Shown]) -> list[Features]:
        """Regions, the surest first."""
        opened = [shown.image.open() for shown in pictures]
        found: dict[int, Features] = {}
        # Pictures of one size at a time: what is padded to a larger one is seen differently at its edges.
        for size in dict.fromkeys(picture.size for picture in opened):
            places = [place for place, picture in enumerate(opened) if picture.size == size]
            found |= dict(zip(places, self._alike([opened[place] for place in places]), strict=True))
        return [found[place] for place in range(len(opened))]

    @torch.inference_mode()
    def _alike(self, pictures: Sequence[Image]) -> list[Features]:
        model: Any = self.model
        images, _ = model.transform([pixels.to(self.device) for pixels in pixels_of(pictures)])
        levels = model.backbone(images.tensors)
        levels = OrderedDict([("0", levels)]) if isinstance(levels, Tensor) else levels
        proposals, _ = model.rpn(images, levels)
        heads = model.roi_heads
        found, _ = heads(levels, proposals, images.image_sizes)
        boxes = [each["boxes"] for each in found]
        feature_RF = heads.box_head(heads.box_roi_pool(levels, boxes, images.image_sizes))
        parts = feature_RF.split([len(each) for each in boxes])
        return [self._regions(*each) for each in zip(found, parts, images.image_sizes, pictures, strict=True)]

    def _regions(self, found: dict[str, Tensor], feature_RF: Tensor, seen: tuple[int, int], picture: Image) -> Features:
        down, across = seen
        boxes = found["boxes"].cpu().numpy() / np.array([across, down, across, down], np.float32)
        labels = tuple(self.names[number - 1] for number in found["labels"].tolist())
        scores = found["scores"].cpu().numpy().astype(np.float32)
        features = feature_RF.cpu().numpy().astype(np.float32)
        return Features(features, boxes.astype(np.float32), labels, scores, picture.size)
