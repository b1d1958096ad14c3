"""Detector `detectron2`: any box detector of its model zoo, and C4 models with pooled features, as VinVL's.

detectron2 is not on the package index; it is imported when the detector is built. Only what its documentation shows is
called: configs and `model_zoo`, `build_model`, `DetectionCheckpointer`, and running a model part by part
("Partially execute a model").

Legend: R regions, F width of a feature, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vlzoo.data.features import Features
from vlzoo.data.records import Shown
from vlzoo.data_parts import Detector
from vlzoo.errors import CheckpointError, DataError, VlzooError
from vlzoo.models.precision import default_device, device_of
from vlzoo_vlmixer.names import read_names

INSTALL = (
    "detectron2 is built from its sources: "
    "pip install --no-build-isolation 'git+https://github.com/facebookresearch/detectron2.git'; "
    "or take the detector torchvision, which needs nothing more"
)


class Detectron2(Detector):
    """A detector of detectron2, its features those that its box head classifies.

    C4 models (`COCO-Detection/faster_rcnn_R_101_C4_3x.yaml`, bottom-up attention's and VinVL's form) give the mean of
    the last stage, 2048 numbers; FPN models what their box head gives, 1024.

    Args:
        config: a config of its model zoo, or a file.
        weights: file of weights; None: those that the config names, of the model zoo over the network.
        classes: file with the name of a class a line; None: those of the data that the config is tested on.
        least: the least score of a region.
        most: the most regions of a picture.
        device: cpu, cuda, cuda:1; None: a GPU where there is one.

    Raises:
        VlzooError: detectron2 is not installed; says how to install it.
        DataError: there is no such config, or the names of its classes are not known.
        CheckpointError: the weights are not there.
    """

    def __init__(
        self,
        *,
        config: str,
        weights: str | None = None,
        classes: str | None = None,
        least: float = 0.2,
        most: int = 50,
        device: str | None = None,
    ) -> None:
        try:
            import detectron2  # noqa: F401
        except ImportError as error:
            raise VlzooError(f"detectron2 can't be imported: {error}", fix=INSTALL) from error
        from detectron2.checkpoint import DetectionCheckpointer
        from detectron2.data import MetadataCatalog
        from detectron2.data.transforms import ResizeShortestEdge
        from detectron2.modeling import build_model

        if weights is not None and not Path(weights).is_file():
            raise CheckpointError(f"there is no weights file {weights!r}", where="detector detectron2")
        cfg = _config(config, weights)
        cfg.MODEL.DEVICE = str(device_of(device) or default_device())
        cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = least
        cfg.TEST.DETECTIONS_PER_IMAGE = most
        tested = cfg.DATASETS.TEST
        known = getattr(MetadataCatalog.get(tested[0]), "thing_classes", None) if tested else None
        self.names = read_names(classes) if classes is not None else tuple(known or ())
        if len(self.names) != cfg.MODEL.ROI_HEADS.NUM_CLASSES:
            what = f"{len(self.names)} names for a model of {cfg.MODEL.ROI_HEADS.NUM_CLASSES} classes"
            fix = "set detector.classes: a file with the name of a class a line, without the background"
            raise DataError(what, where=classes or config, fix=fix)
        self.format = cfg.INPUT.FORMAT
        self.resize = ResizeShortestEdge([cfg.INPUT.MIN_SIZE_TEST] * 2, cfg.INPUT.MAX_SIZE_TEST)
        self.model = build_model(cfg).eval()
        DetectionCheckpointer(self.model).load(cfg.MODEL.WEIGHTS)

    def detect(self, pictures: Sequence[Shown]) -> list[Features]:
        """Regions, the surest first; one picture at a time, as others would pad it."""
        return [self._one(shown) for shown in pictures]

    @torch.inference_mode()
    def _one(self, shown: Shown) -> Features:
        picture = shown.image.open()
        levels_HWC = np.asarray(picture)
        levels_HWC = levels_HWC[:, :, ::-1] if self.format == "BGR" else levels_HWC
        resized = self.resize.get_transform(levels_HWC).apply_image(np.ascontiguousarray(levels_HWC))
        pixels = torch.as_tensor(np.ascontiguousarray(resized.astype("float32").transpose(2, 0, 1)))
        images = self.model.preprocess_image([{"image": pixels}])
        levels = self.model.backbone(images.tensor)
        proposals, _ = self.model.proposal_generator(images, levels)
        (found,), _ = self.model.roi_heads(images, levels, proposals)
        feature_RF = pooled(self.model.roi_heads, levels, found.pred_boxes)
        down, across = resized.shape[:2]
        boxes = found.pred_boxes.tensor.cpu().numpy() / np.array([across, down, across, down], np.float32)
        labels = tuple(self.names[number] for number in found.pred_classes.tolist())
        scores = found.scores.cpu().numpy().astype(np.float32)
        features = feature_RF.cpu().numpy().astype(np.float32)
        return Features(features, boxes.astype(np.float32), labels, scores, picture.size)


def pooled(heads: Any, levels: dict[str, Tensor], boxes: Any) -> Tensor:
    """What the box head of a model makes of boxes, [R, F].

    Args:
        heads: `Res5ROIHeads` of C4 models, with `pooler` and `res5`; `StandardROIHeads`, with `box_pooler`, `box_head`.
        levels: of the backbone, by name.
        boxes: of one picture, as detectron2 holds them.

    Raises:
        VlzooError: heads of another kind.
    """
    read = [levels[name] for name in heads.in_features]
    if hasattr(heads, "res5"):
        state_RCHW = heads.res5(heads.pooler(read, [boxes]))
        return state_RCHW.mean(dim=(2, 3))
    if hasattr(heads, "box_pooler") and hasattr(heads, "box_head"):
        return heads.box_head(heads.box_pooler(read, [boxes])).flatten(1)
    fix = "take a config of Faster R-CNN with C4 or FPN"
    raise VlzooError(f"no features are read from {type(heads).__name__}", where="detector detectron2", fix=fix)


def _config(name: str, weights: str | None) -> Any:
    from detectron2 import model_zoo
    from detectron2.config import get_cfg

    cfg = get_cfg()
    try:
        cfg.merge_from_file(name if Path(name).is_file() else model_zoo.get_config_file(name))
    except RuntimeError as error:
        fix = "give a file, or a config of the model zoo: COCO-Detection/faster_rcnn_R_101_C4_3x.yaml"
        raise DataError(f"no config {name!r}: {error}", where="detector detectron2", fix=fix) from error
    if weights is not None:
        cfg.MODEL.WEIGHTS = weights
    elif not Path(name).is_file():
        cfg.MODEL.WEIGHTS = model_zoo.get_checkpoint_url(name)
    return cfg
